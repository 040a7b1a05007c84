import type { ChangesOptions, FeedEvent, SessionChanges } from "../types.js";
import type { ChangeFeed } from "./feed.js";

interface Waiter {
  readonly resolve: (result: IteratorResult<FeedEvent, undefined>) => void;
  readonly reject: (error: Error) => void;
}

const BUFFER = 1000;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** Reads a feed at its own pace, with a bounded buffer. */
export class ChangeReader implements SessionChanges {
  readonly ready: Promise<void>;
  readonly #limit: number;
  readonly #stop: () => void;
  #buffer: FeedEvent[] = [];
  #waiters: Waiter[] = [];
  #end: { readonly error?: Error | undefined } | undefined;

  /** @throws TypeError when `buffer` is not a whole number, at least 1 */
  constructor(feed: ChangeFeed, { buffer = BUFFER }: ChangesOptions = {}) {
    if (!Number.isSafeInteger(buffer) || buffer < 1) {
      throw new TypeError(`Expected \`buffer\` to be a whole number, at least 1, got ${String(buffer)}`);
    }
    this.#limit = buffer;
    const { ready, stop } = feed.listen({
      changed: (change) => this.#push(change),
      missed: () => this.#push({ type: "missed" }),
      cut: () => this.#push({ type: "cut" }),
      resumed: () => this.#push({ type: "resumed" }),
      ended: (error) => this.#finish({ error }),
    });
    this.ready = ready;
    this.#stop = stop;
  }

  next(): Promise<IteratorResult<FeedEvent, undefined>> {
    const value = this.#buffer.shift();
    if (value) return Promise.resolve({ done: false, value });
    if (!this.#end) return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
    const { error } = this.#end;
    // The error is thrown once; after it the iterator is at its end, as generators are.
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

  #push(event: FeedEvent): void {
    const waiter = this.#waiters.shift();
    if (waiter) {
      waiter.resolve({ done: false, value: event });
      return;
    }
    if (this.#buffer.length >= this.#limit) this.#shorten();
    this.#buffer.push(event);
  }

  /** After `missed` the reader has to read the sessions again, so of older events only the state of the link counts. */
  #shorten(): void {
    const link = this.#buffer.findLast(({ type }) => type === "cut" || type === "resumed");
    this.#buffer = [{ type: "missed" }, ...(link ? [link] : [])];
  }

  /** What is in the buffer can still be read. */
  #finish(end: { readonly error?: Error | undefined }): void {
    if (this.#end) return;
    this.#end = end;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { resolve, reject } of waiters) {
      if (this.#end.error) reject(this.#end.error);
      else resolve(DONE);
      this.#end = {};
    }
  }
}
