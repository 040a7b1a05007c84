import { Semaphore } from "./semaphore.js";

/** Runs tasks of one key one after the other, in the order of the calls; tasks of different keys do not wait. */
export class KeyedQueue<K> {
  readonly #lines = new Map<K, { readonly line: Semaphore; size: number }>();
  readonly #late: () => Error;

  /** @param late makes the error for a task whose deadline passes while it waits */
  constructor(late: () => Error) {
    this.#late = late;
  }

  /** Whether a task of this key is running or waiting. */
  isBusy(key: K): boolean {
    return this.#lines.has(key);
  }

  /** @param deadline ms of `now()` */
  async run<T>(key: K, deadline: number, task: () => Promise<T>): Promise<T> {
    const entry = this.#lines.get(key) ?? { line: new Semaphore(1, this.#late), size: 0 };
    this.#lines.set(key, entry);
    entry.size++;
    try {
      return await entry.line.run(deadline, task);
    } finally {
      entry.size--;
      if (entry.size === 0) this.#lines.delete(key);
    }
  }
}
