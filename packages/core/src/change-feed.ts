import { changeOf, type Told } from "./change.js";
import { ChangeTail } from "./change-tail.js";
import type { BareContext } from "./context.js";
import { HEADER } from "./record.js";
import type { SessionChange } from "./types.js";
import { unavailable } from "./wire/index.js";

/** Who is told of changes. */
export interface FeedListener {
  changed(change: SessionChange): void;
  /** Some changes can no longer be told. */
  missed(): void;
  /** The link is down; what happens meanwhile is told when it is up again. */
  cutOff?(): void;
  /** Nothing follows, because of the error or because the store was closed. */
  ended(error?: Error): void;
}

/** Of so many sessions it is remembered whose they are, for the server's word of an expiry does not say. */
const MOST_OWNERS = 20_000;

/** The changes of a store's sessions, for all who listen; there is one tail while there is somebody. */
export class ChangeFeed {
  readonly #context: BareContext;
  readonly #listeners = new Set<FeedListener>();
  readonly #owners = new Map<string, string>();
  #tail: { readonly tail: ChangeTail; readonly ready: Promise<void> } | undefined;

  constructor(context: BareContext) {
    this.#context = context;
  }

  /** `ready` resolves when all that happens after it will be told, and rejects where there is no feed. */
  listen(listener: FeedListener): { readonly ready: Promise<void>; readonly stop: () => void } {
    this.#listeners.add(listener);
    this.#tail ??= this.#follow();
    const stop = () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop();
    };
    return { ready: this.#tail.ready, stop };
  }

  #follow(): { tail: ChangeTail; ready: Promise<void> } {
    const tail = new ChangeTail(this.#context, {
      told: (write) => this.#onWrite(write),
      cutOff: () => this.#each((listener) => listener.cutOff?.()),
      missed: () => this.#each((listener) => listener.missed()),
      failed: (error) => this.#end(tail, error),
    });
    const ready = tail.start();
    ready.catch((error) => this.#end(tail, error));
    return { tail, ready };
  }

  /**
   * Resolves when everything is told that was written before the call. @returns when it was called, in ms of
   * `performance.now()`
   * @throws where there is no feed, or its link breaks
   */
  async prove(): Promise<number> {
    const calledAt = performance.now();
    if (!this.#tail) throw unavailable("nobody follows the changes");
    await this.#tail.tail.reachEnd();
    return calledAt;
  }

  close(): void {
    if (this.#tail) this.#end(this.#tail.tail);
  }

  #end(tail: ChangeTail, error?: Error): void {
    if (this.#tail?.tail !== tail) return;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.#stop();
    for (const listener of listeners) listener.ended(error);
  }

  #stop(): void {
    this.#tail?.tail.stop();
    this.#tail = undefined;
    this.#owners.clear();
  }

  #onWrite(write: Told): void {
    const told = changeOf(write, this.#context.keyStart);
    if (!told) return;
    // Neither the server's word of an expiry nor a deletion by another client says whose session it was.
    const isUnsaid = write.header(HEADER.format) === "";
    const change = isUnsaid ? { ...told, owner: this.#owners.get(told.handle) } : told;
    this.#remember(change);
    this.#each((listener) => listener.changed(change));
  }

  #remember({ handle, owner, type }: SessionChange): void {
    this.#owners.delete(handle);
    if (owner === undefined || type === "destroyed" || type === "expired") return;
    this.#owners.set(handle, owner);
    if (this.#owners.size > MOST_OWNERS) this.#owners.delete(this.#owners.keys().next().value as string);
  }

  #each(tell: (listener: FeedListener) => void): void {
    for (const listener of [...this.#listeners]) tell(listener);
  }
}
