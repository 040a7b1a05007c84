/** Runs at most so many tasks at a time; the others wait in line, none beyond its deadline. */
export class Limiter {
  readonly #waiting = new Set<() => void>();
  readonly #most: number;
  readonly #late: () => Error;
  #running = 0;

  /** @param late makes the error for a task whose deadline passes while it waits */
  constructor(most: number, late: () => Error) {
    this.#most = most;
    this.#late = late;
  }

  get isIdle(): boolean {
    return this.#running === 0;
  }

  /** @param deadline ms of `performance.now()` */
  async run<T>(deadline: number, task: () => Promise<T>): Promise<T> {
    // Whoever ends hands its place to the next in line, so the count stays.
    if (this.#running < this.#most) this.#running++;
    else await this.#turn(deadline);
    try {
      return await task();
    } finally {
      const [next] = this.#waiting;
      if (next) next();
      else this.#running--;
    }
  }

  #turn(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = () => {
        clearTimeout(timer);
        this.#waiting.delete(go);
        resolve();
      };
      const giveUp = () => {
        this.#waiting.delete(go);
        reject(this.#late());
      };
      const timer = setTimeout(giveUp, Math.max(0, deadline - performance.now())).unref();
      this.#waiting.add(go);
    });
  }
}
