import { within } from "../util/within.js";

/**
 * The writes under way in this process, by session. A load waits for those that began before it, so that a browser
 * that follows a redirect never sees the state from before the request that sent the redirect.
 */
export class ReadYourWrites {
  /** Resolves when all writes of a session that are under way have ended, whatever came of them. */
  readonly #writes = new Map<string, Promise<unknown>>();
  readonly #late: () => Error;

  /** @param late makes the error for what waits beyond its deadline */
  constructor(late: () => Error) {
    this.#late = late;
  }

  /** Runs a write of a session; loads that begin meanwhile wait for it. */
  run<T>(handle: string, write: () => Promise<T>): Promise<T> {
    const running = write();
    const others = this.#writes.get(handle);
    const all = others ? Promise.allSettled([others, running]).then(() => {}) : running;
    this.#writes.set(handle, all);
    const end = () => {
      if (this.#writes.get(handle) === all) this.#writes.delete(handle);
    };
    all.then(end, end);
    return running;
  }

  /** As `run`, after the writes that are under way now. Loads wait for it from now on. */
  runAfter<T>(handle: string, deadline: number, write: () => Promise<T>): Promise<T> {
    const before = this.settled(handle, deadline);
    return this.run(handle, before ? () => before.then(write) : write);
  }

  /**
   * Resolves when the writes that are under way now have ended, whatever came of them; nothing where there are none.
   * Rejects when they have not ended by the deadline.
   */
  settled(handle: string, deadline: number): Promise<unknown> | undefined {
    const writes = this.#writes.get(handle);
    return writes && within(deadline, Promise.allSettled([writes]), this.#late);
  }
}
