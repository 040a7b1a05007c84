/** What a session holds when the caller names no type of its own. */
export type SessionData = Record<string, unknown>;

/**
 * A session as the server had it, with the revision it had then. Pass it to `save`, `touch` and `rotate`: the
 * revision tells the store whether another request has written the session since. Records come from the store and
 * cannot be built by hand or copied.
 */
export interface SessionRecord<T extends object = SessionData> {
  /** The session's public name: the SHA-256 of its id in base64url. Safe to show, log and use in a URL. */
  readonly handle: string;
  /** The caller's own copy; changing it does not change what is stored. */
  readonly data: T;
  /** Sequence number of the write that stored the session; grows with each write to the bucket. */
  readonly revision: number;
  /** When the session was created (Unix ms). Later writes keep it. */
  readonly createdAt: number;
  /** When the session ends unless it is renewed (Unix ms). */
  readonly expiresAt: number;
}

/**
 * What a save did:
 * - `saved`: the data are stored.
 * - `merged`: the data are stored together with changes that other requests made since the session was loaded.
 * - `gone`: the session was destroyed or has expired since it was loaded, and stays so. Nothing was stored.
 */
export type SaveOutcome = "saved" | "merged" | "gone";

/**
 * What a touch did:
 * - `touched`: the session was renewed.
 * - `skipped`: nothing was written, because the session lives long enough already (see `touchAfter`).
 * - `gone`: the session was destroyed or has expired.
 */
export type TouchOutcome = "touched" | "skipped" | "gone";

/** The result of `save`, `rotate` and `update`. */
export interface SaveResult<T extends object = SessionData> {
  readonly outcome: SaveOutcome;
  /** The session as it is stored now, for the next save or touch; `null` when it is gone. */
  readonly record: SessionRecord<T> | null;
}

/** The result of `touch`. */
export interface TouchResult<T extends object = SessionData> {
  readonly outcome: TouchOutcome;
  /** The record for the next save or touch; `null` when the session is gone. */
  readonly record: SessionRecord<T> | null;
}

/** What a save may be given beside the session's data. */
export interface SaveOptions<T extends object = SessionData> {
  /** The record that this save continues. Without one the session is created, or replaced where it exists. */
  record?: SessionRecord<T> | undefined;
  /**
   * Time to live from now in ms, or a function of the data that are finally stored (they may be merged). Zero or
   * less ends the session.
   * @default the store's `ttl`
   */
  ttl?: number | ((data: T) => number | undefined) | undefined;
  /**
   * The object that `data` was copied from, if it is a copy. After a merge the holder of that object does not see
   * the other request's keys; the next save from it does not count them as removed.
   * @default data
   */
  source?: object | undefined;
  /**
   * Makes the save a touch when `data` serialises to exactly what was loaded.
   * @default false
   */
  touchUnchanged?: boolean | undefined;
  /** @internal A save without a record looks first whether there is a session, which saves it a conflict. */
  mayExist?: boolean | undefined;
}

/** What a touch may be given beside the record. */
export interface TouchOptions {
  /**
   * Time to live from now in ms. A touch never shortens a session's life.
   * @default the store's `ttl`
   */
  ttl?: number | undefined;
}

/** What a rotation is given beside the session's data. */
export interface RotateOptions<T extends object = SessionData> {
  /** The record of the session under its old id. */
  record: SessionRecord<T>;
  /** As in {@link SaveOptions}. */
  ttl?: SaveOptions<T>["ttl"];
  /** As in {@link SaveOptions}. */
  source?: object | undefined;
  /**
   * The object that holds the session under its new id.
   * @default source
   */
  newSource?: object | undefined;
}

/** A live session of a user, as `listByUser` gives it. */
export interface UserSession<T extends object = SessionData> extends SessionRecord<T> {
  /**
   * When a save or touch was stored last (Unix ms), by the server's clock; by that of this process for a session that
   * it stored itself and still has in its near cache.
   */
  readonly lastWriteAt: number;
}

/** What happened to a session. */
export type ChangeType = "created" | "updated" | "touched" | "destroyed" | "expired";

/** A change of a session, made by any process. */
export interface SessionChange {
  readonly type: ChangeType;
  /** The session's public name. */
  readonly handle: string;
  /**
   * The session's user, hashed as `hashUser` does; `undefined` for a session without a user, and for an expiry of
   * a session that this process has not seen written (the server's expiry message holds only the handle).
   */
  readonly userHash: string | undefined;
  /** The handle under which the session goes on, where `rotate` ended this one. */
  readonly movedTo: string | undefined;
  /** Sequence number of the write; grows with each write to the bucket. */
  readonly revision: number;
  /** When it happened, by the server's clock (Unix ms). */
  readonly at: number;
  /** True for an update that merged the changes of two requests. */
  readonly isMerge?: boolean;
}

/** Some changes are missing: the reader was too slow, or the bucket cannot tell any more what happened. */
export interface MissedChanges {
  readonly type: "missed";
}

/** The connection is down (`cut`), or up again with everything told that happened meanwhile (`resumed`). */
export type FeedInterruption = { readonly type: "cut" } | { readonly type: "resumed" };

/** What `changes()` gives: a change of a session, or what happened to the feed itself. */
export type FeedEvent = SessionChange | MissedChanges | FeedInterruption;

/** How `changes()` reads the feed. */
export interface ChangesOptions {
  /**
   * How many events are kept for a reader that is busy.
   * @default 1000
   */
  buffer?: number | undefined;
}

/** What happens to sessions from now on, in order. Ends with `break`, `return()` or the store's `close()`. */
export interface SessionChanges extends AsyncIterableIterator<FeedEvent> {
  /** Resolves when the feed is live: what happens later is not missed. Rejects where there is no feed. */
  readonly ready: Promise<void>;
  /** Ends the reading, also while a `next()` waits. */
  return(): Promise<IteratorReturnResult<undefined>>;
}

/** How a session ended. */
export interface SessionEnd {
  /** `rotated`: the session goes on under another id. */
  readonly reason: "destroyed" | "expired" | "rotated";
  /** The handle under which the session goes on, where it was rotated. */
  readonly movedTo?: string | undefined;
}

/** How `onEnded` watches a session. */
export interface OnEndedOptions {
  /** Ends the watch, as the function does that `onEnded` returns. */
  signal?: AbortSignal | undefined;
  /**
   * Called once when the watch cannot go on, so that the listener will not be called: with `ERR_SESSION_NO_FEED`
   * where the bucket has no change feed, with `ERR_SESSION_UNAVAILABLE` when the connection was closed for good.
   * @default a process warning
   */
  onError?: ((error: Error) => void) | undefined;
}

/** What the near cache has done since the store was constructed. */
export interface CacheStats {
  /** Loads that the cache answered. */
  readonly hits: number;
  /** Loads that the server had to answer. */
  readonly misses: number;
  /** Sessions removed from the cache because another process wrote them, or because the feed was interrupted. */
  readonly drops: number;
  /** Sessions in the cache now. */
  readonly size: number;
  /** Bytes of session data in the cache now. */
  readonly bytes: number;
}

/** How `check` asks the bucket. */
export interface CheckOptions {
  /**
   * How long it may take, in ms; no longer than the store's `timeout`.
   * @default the store's `timeout`
   */
  timeout?: number | undefined;
}

/**
 * The change feed, as `check` finds it:
 * - `live`: the store follows it.
 * - `idle`: the bucket has one, and nothing in this process needs it: no near cache, no `changes()`, no `onEnded`.
 * - `cut`: it was interrupted, and what happened meanwhile is being read.
 * - `none`: the bucket does not republish its writes.
 */
export type FeedState = "live" | "idle" | "cut" | "none";

/** What `check` found. */
export interface CheckResult {
  /** How long the bucket's leader took to answer, in ms; with `shards`, the slowest of them. */
  readonly latency: number;
  /** The server that the connection leads to, `host:port`; `undefined` where the client does not tell. */
  readonly server: string | undefined;
  /** Name of the bucket. */
  readonly bucket: string;
  /** Name of the server that leads the bucket; with `shards`, of each that leads one of the buckets. */
  readonly leader: string;
  readonly feed: FeedState;
}

/** How `count` counts. */
export interface CountOptions {
  /**
   * Read all entries and count exactly the sessions that are live now.
   * @default false
   */
  exact?: boolean | undefined;
}

/**
 * The part of a NATS connection that the store uses. Connections of `@nats-io/transport-node` 3.x (and the
 * other transports of `@nats-io/nats-core`) and of `nats` 2.29 have it.
 */
export interface NatsConnectionLike {
  readonly info?:
    | {
        readonly version: string;
        readonly max_payload: number;
        readonly jetstream?: boolean | undefined;
        /** The JetStream domain of the server. */
        readonly domain?: string | undefined;
      }
    | undefined;
  publish(subject: string, payload?: Uint8Array, options?: { reply?: string; headers?: never }): void;
  subscribe(
    subject: string,
    options?: { callback?: (error: never, message: never) => void },
  ): { unsubscribe(): void };
  status(): AsyncIterable<{ type: string }>;
  // biome-ignore lint/suspicious/noConfusingVoidType: as the clients declare it
  closed(): Promise<void | Error>;
  isClosed(): boolean;
  isDraining(): boolean;
  getServer?(): string;
}

/**
 * Where a store gets its connection: a connection, a promise of one, or a function that connects. A function is
 * called again when connecting failed or when the connection was closed for good. The caller owns the connection:
 * the store never closes or drains it.
 */
export type NatsConnectionSource =
  | NatsConnectionLike
  | PromiseLike<NatsConnectionLike>
  | (() => NatsConnectionLike | PromiseLike<NatsConnectionLike>);
