import { clearTimeout, now, setTimeout } from "./timers.js";

/** Runs at most so many tasks at a time; the others wait their turn, none beyond its deadline. */
export class Semaphore {
  readonly #waiting = new Set<() => void>();
  readonly #limit: number;
  readonly #late: () => Error;
  #running = 0;

  /** @param late makes the error for a task whose deadline passes while it waits */
  constructor(limit: number, late: () => Error) {
    this.#limit = limit;
    this.#late = late;
  }

  /** @param deadline ms of `now()` */
  async run<T>(deadline: number, task: () => Promise<T>): Promise<T> {
    // A task that ends passes its place on, so the count stays.
    if (this.#running < this.#limit) this.#running++;
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
      const start = () => {
        clearTimeout(timer);
        this.#waiting.delete(start);
        resolve();
      };
      const giveUp = () => {
        this.#waiting.delete(start);
        reject(this.#late());
      };
      const timer = setTimeout(giveUp, Math.max(0, deadline - now())).unref();
      this.#waiting.add(start);
    });
  }
}
