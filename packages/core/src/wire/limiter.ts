import { unavailable } from "./failure.js";

/** Runs at most so many tasks at a time; the others wait in line, none beyond its deadline. */
export class Limiter {
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(most: number) {
    this.#free = most;
  }

  /** @param deadline ms of `performance.now()` */
  async run<T>(deadline: number, task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#turn(deadline);
    try {
      return await task();
    } finally {
      const [next] = this.#waiting;
      if (next) next();
      else this.#free++;
    }
  }

  #turn(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = () => {
        clearTimeout(timer);
        this.#waiting.delete(go);
        resolve();
      };
      const timer = setTimeout(
        () => {
          this.#waiting.delete(go);
          reject(unavailable("too many sessions had to be confirmed by the bucket's leader at once"));
        },
        Math.max(0, deadline - performance.now()),
      );
      timer.unref();
      this.#waiting.add(go);
    });
  }
}
