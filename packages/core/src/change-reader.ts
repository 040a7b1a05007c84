import type { ChangeFeed } from "./change-feed.js";
import type { ChangesOptions, MissedChanges, SessionChange, SessionChanges } from "./types.js";

type Item = SessionChange | MissedChanges;

interface Waiting {
  readonly resolve: (result: IteratorResult<Item, undefined>) => void;
  readonly reject: (error: Error) => void;
}

const MOST = 1000;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** Reads a feed at its own pace, with a buffer that is bounded. */
export class ChangeReader implements SessionChanges {
  readonly ready: Promise<void>;
  readonly #most: number;
  readonly #stop: () => void;
  #buffer: Item[] = [];
  #waiting: Waiting[] = [];
  #end: { readonly error?: Error | undefined } | undefined;

  /** @throws TypeError when `buffer` is not a whole number, at least 1 */
  constructor(feed: ChangeFeed, { buffer = MOST }: ChangesOptions = {}) {
    if (!Number.isSafeInteger(buffer) || buffer < 1) {
      throw new TypeError(`Expected \`buffer\` to be a whole number, at least 1, got ${String(buffer)}`);
    }
    this.#most = buffer;
    const { ready, stop } = feed.listen({
      changed: (change) => this.#push(change),
      missed: () => this.#push({ type: "missed" }),
      ended: (error) => this.#finish({ error }),
    });
    this.ready = ready;
    this.#stop = stop;
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    const value = this.#buffer.shift();
    if (value) return Promise.resolve({ done: false, value });
    if (!this.#end) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    const { error } = this.#end;
    // An error is told once; after it the iterator is at its end, as the language's own are.
    this.#end = {};
    return error ? Promise.reject(error) : Promise.resolve(DONE);
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#stop();
    this.#finish({});
    this.#end = {};
    this.#buffer = [];
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #push(item: Item): void {
    const waiting = this.#waiting.shift();
    if (waiting) {
      waiting.resolve({ done: false, value: item });
      return;
    }
    // Whoever missed something has to look anew, so what is older is of no use to them.
    if (this.#buffer.length >= this.#most) this.#buffer = [{ type: "missed" }];
    this.#buffer.push(item);
  }

  /** What is in the buffer can still be read. */
  #finish(end: { readonly error?: Error | undefined }): void {
    if (this.#end) return;
    this.#end = end;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve, reject } of waiting) {
      if (this.#end.error) reject(this.#end.error);
      else resolve(DONE);
      this.#end = {};
    }
  }
}
