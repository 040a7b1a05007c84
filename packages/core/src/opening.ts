import type { Names } from "./context.js";
import { SessionStoreError } from "./errors.js";
import { plainNames } from "./key.js";
import type {
  CacheStats,
  ChangesOptions,
  CountOptions,
  RotateOptions,
  SaveOptions,
  SaveResult,
  SessionChanges,
  SessionData,
  SessionRecord,
  SessionStore,
  TouchOptions,
  TouchResult,
  UserSession,
} from "./types.js";

/** A store, a store that is still being opened, or a function that opens one. */
export type SessionStoreSource<T extends object = SessionData> =
  | SessionStore<T>
  | PromiseLike<SessionStore<T>>
  | (() => PromiseLike<SessionStore<T>>);

// biome-ignore lint/suspicious/noExplicitAny: stores of any data
type Open = () => PromiseLike<SessionStore<any>>;

/** The names that a store gives, which need no opening. */
type Namer = Pick<Names, "handleOf" | "ownerOf">;

interface Opening {
  readonly open: Open;
  readonly names: Namer;
}

/** How to try again what a promise of `openSessionStore` was for, and what is known before it is there. */
const openings = new WeakMap<object, Opening>();

/** Runs `open` and remembers it, so that a failed opening can be tried again. */
export function reopenable<T extends object>(
  open: () => Promise<SessionStore<T>>,
  names: Namer,
): Promise<SessionStore<T>> {
  const opening = open();
  openings.set(opening, { open, names });
  return opening;
}

/**
 * A store that can be used while it is still being opened, for applications without top-level await. Each
 * operation waits for the opening. When that has failed, each operation rejects with its error, and the next
 * one tries again: with the function given here, or by what the promise of `openSessionStore` was called with.
 */
export function sessionStoreFrom<T extends object>(source: SessionStoreSource<T>): SessionStore<T> {
  if (typeof source === "function") return new OpeningStore<T>(source, call(source));
  if (typeof source === "object" && source !== null) {
    if ("load" in source) return source;
    if ("then" in source) return new OpeningStore<T>(openings.get(source)?.open, source);
  }
  throw new TypeError(
    "Expected a session store of `openSessionStore`, a promise of one, or a function that opens one",
  );
}

/** What a function throws at once is a failed opening like any other. */
function call<T extends object>(open: () => PromiseLike<SessionStore<T>>): PromiseLike<SessionStore<T>> {
  try {
    return open();
  } catch (error) {
    return Promise.reject(error);
  }
}

class OpeningStore<T extends object> implements SessionStore<T> {
  readonly #open: Open | undefined;
  #opening: Promise<SessionStore<T>>;
  #opened: SessionStore<T> | undefined;
  #failed = false;
  #closed = false;
  #names: Namer;

  constructor(open: Open | undefined, first: PromiseLike<SessionStore<T>>) {
    this.#open = open;
    // Of a function of the caller's own, how its store gives names is known when it is open.
    this.#names = openings.get(first)?.names ?? plainNames;
    this.#opening = this.#watch(first);
  }

  async load(id: string): Promise<SessionRecord<T> | null> {
    return (await this.#store()).load(id);
  }

  async save(id: string, data: T, options?: SaveOptions<T>): Promise<SaveResult<T>> {
    return (await this.#store()).save(id, data, options);
  }

  async touch(id: string, record: SessionRecord<T>, options?: TouchOptions): Promise<TouchResult<T>> {
    return (await this.#store()).touch(id, record, options);
  }

  isTouchDue(record: SessionRecord<T>, options?: TouchOptions): boolean {
    return this.#opened?.isTouchDue(record, options) ?? true;
  }

  async destroy(id: string): Promise<boolean> {
    return (await this.#store()).destroy(id);
  }

  handleOf(id: string): string {
    return this.#names.handleOf(id);
  }

  isOf(id: string, record: SessionRecord<T>): boolean {
    // A record comes from the open store; without one there is nothing to compare.
    return this.#opened?.isOf(id, record) ?? false;
  }

  ownerOf(user: string): string {
    return this.#names.ownerOf(user);
  }

  async destroyHandle(handle: string, options?: { user?: string | undefined }): Promise<boolean> {
    return (await this.#store()).destroyHandle(handle, options);
  }

  async rotate(id: string, newId: string, data: T, options: RotateOptions<T>): Promise<SaveResult<T>> {
    return (await this.#store()).rotate(id, newId, data, options);
  }

  async *listOf(user: string): AsyncGenerator<UserSession<T>, undefined> {
    yield* (await this.#store()).listOf(user);
  }

  async destroyOf(user: string, options?: { except?: string | undefined }): Promise<number> {
    return (await this.#store()).destroyOf(user, options);
  }

  cacheStats(): CacheStats | undefined {
    return this.#opened?.cacheStats();
  }

  changes(options?: ChangesOptions): SessionChanges {
    const opened = this.#store().then((store) => store.changes(options));
    const ready = opened.then((changes) => changes.ready);
    ready.catch(() => {});
    return {
      ready,
      next: async () => (await opened).next(),
      return: async () => (await opened).return(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  async *ids(): AsyncGenerator<string, undefined> {
    yield* (await this.#store()).ids();
  }

  async *all(): AsyncGenerator<SessionRecord<T>, undefined> {
    yield* (await this.#store()).all();
  }

  async count(options?: CountOptions): Promise<number> {
    return (await this.#store()).count(options);
  }

  async clear(): Promise<void> {
    return (await this.#store()).clear();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening.then(
      (store) => store.close(),
      () => {},
    );
  }

  #store(): Promise<SessionStore<T>> {
    if (this.#closed) {
      return Promise.reject(new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed."));
    }
    if (this.#failed && this.#open) {
      this.#failed = false;
      this.#opening = this.#watch(call(this.#open));
    }
    return this.#opening;
  }

  /** A failure is told to each operation that waits for it, and to nobody else when none does. */
  #watch(opening: PromiseLike<SessionStore<T>>): Promise<SessionStore<T>> {
    const watched = Promise.resolve(opening);
    watched.then(
      (store) => {
        this.#opened = store;
        this.#names = store;
      },
      () => {
        this.#failed = true;
      },
    );
    return watched;
  }
}
