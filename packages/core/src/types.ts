/** What a session holds when the caller names no type of its own. */
export type SessionData = Record<string, unknown>;

/**
 * A session as the server had it, with the revision it had then. Give it back to `save` and `touch`: it is how
 * the store knows whether somebody else wrote meanwhile. Records come from `load` and `save` and cannot be made
 * by hand or copied.
 */
export interface SessionRecord<T extends object = SessionData> {
  /**
   * The session's public name: SHA-256 of its id, base64url. Safe to show, log and use in a URL. With `encryption`
   * it is an HMAC, and the one of an older key until the session is moved.
   */
  readonly handle: string;
  /** The caller's own copy; changing it does not change what is stored. */
  readonly data: T;
  /** Sequence number of the write that stored it; grows with each write to the bucket. */
  readonly revision: number;
  /** When the session was created, unix ms. Kept through all later writes. */
  readonly createdAt: number;
  /** When the session ends unless it is renewed, unix ms. */
  readonly expiresAt: number;
}

/**
 * What a save did:
 * - `saved`: the data are stored.
 * - `merged`: the data are stored together with what others have changed since they were loaded.
 * - `gone`: the session was destroyed or has expired since it was loaded, and stays so. Nothing was stored.
 */
export type SaveOutcome = "saved" | "merged" | "gone";

/**
 * What a touch did:
 * - `touched`: the session's life was renewed.
 * - `skipped`: nothing was written: too soon after the last write, or another write has renewed the life.
 * - `gone`: the session was destroyed or has expired.
 */
export type TouchOutcome = "touched" | "skipped" | "gone";

export interface SaveResult<T extends object = SessionData> {
  readonly outcome: SaveOutcome;
  /** The session as it is stored now, for the next save or touch; `null` when it is gone. */
  readonly record: SessionRecord<T> | null;
}

export interface TouchResult<T extends object = SessionData> {
  readonly outcome: TouchOutcome;
  /** The record for the next save or touch; `null` when the session is gone. */
  readonly record: SessionRecord<T> | null;
}

export interface SaveOptions<T extends object = SessionData> {
  /** The record that this save continues. Without one the session is created, or replaced where it exists. */
  record?: SessionRecord<T> | undefined;
  /**
   * Life from now in ms, or what gives it for the data that are stored in the end, which may be merged ones.
   * Default: the store's `ttl`. Zero or less ends the session.
   */
  ttl?: number | ((data: T) => number | undefined) | undefined;
  /**
   * The object that the data were taken from, where they are a copy. Default: `data`. Who goes on with the same
   * object after a merge does not have the other side's keys in it; they are then not taken for removed.
   */
  source?: object | undefined;
  /** Data that serialise to what the record was loaded with are not stored again: the save is a touch. Default: false. */
  touchUnchanged?: boolean | undefined;
}

export interface TouchOptions {
  /** Life from now in ms; default: the store's `ttl`. A touch never shortens a life. */
  ttl?: number | undefined;
}

export interface RotateOptions<T extends object = SessionData> {
  /** The record of the session under its old id. */
  record: SessionRecord<T>;
  /** As in {@link SaveOptions}. */
  ttl?: SaveOptions<T>["ttl"];
  /** As in {@link SaveOptions}. */
  source?: object | undefined;
  /** The object that goes on as the session under its new id, where that is another. Default: `source`. */
  newSource?: object | undefined;
}

/** A live session of a user, as `listOf` gives it. */
export interface UserSession<T extends object = SessionData> extends SessionRecord<T> {
  /** When it was written last (by a save or a touch), by the server's clock, unix ms: a user's last sign of life, to `touchAfter`. */
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
   * The session's user as `ownerOf` names them; `undefined` for a session of nobody, and for an expiry of a
   * session that this process had not seen written before: the server's word of it holds no more than the name.
   */
  readonly owner: string | undefined;
  /** Sequence number of the write; grows with each write to the bucket. */
  readonly revision: number;
  /** When it happened, by the server's clock, unix ms. */
  readonly at: number;
}

/** Changes were missed: the reader was too slow, or the feed was cut off for longer than the server remembers. */
export interface MissedChanges {
  readonly type: "missed";
}

export interface ChangesOptions {
  /** How many changes are kept for a reader that is busy. Default: 1000. */
  buffer?: number | undefined;
}

/** What happens to sessions from now on, in order. Ends with `break`, `return()` or the store's `close()`. */
export interface SessionChanges extends AsyncIterableIterator<SessionChange | MissedChanges> {
  /** Resolves when the feed is live: nothing that happens after is missed. Rejects where there is no feed. */
  readonly ready: Promise<void>;
  return(): Promise<IteratorReturnResult<undefined>>;
}

/** What the near cache has done since the store was opened. */
export interface CacheStats {
  /** Loads that it answered. */
  readonly hits: number;
  /** Loads that it could not answer, or was not sure enough to. */
  readonly misses: number;
  /** Sessions that it gave up because others wrote them, or because the link was cut. */
  readonly drops: number;
  /** Sessions that it holds now. */
  readonly size: number;
}

export interface CountOptions {
  /** Walk all entries and count the sessions that are live now. Default: false. */
  exact?: boolean;
}

/**
 * Sessions in one bucket. All methods may be called at the same time, and reject with a `SessionStoreError`
 * (see its codes) or, for wrong arguments, a `TypeError`.
 */
export interface SessionStore<T extends object = SessionData> {
  /** The session's record, or `null` when the server says that there is none (never because of an outage). */
  load(id: string): Promise<SessionRecord<T> | null>;
  /** Stores the data; see {@link SaveOutcome}. */
  save(id: string, data: T, options?: SaveOptions<T>): Promise<SaveResult<T>>;
  /** Renews the life of a loaded session and changes nothing else; see {@link TouchOutcome}. */
  touch(id: string, record: SessionRecord<T>, options?: TouchOptions): Promise<TouchResult<T>>;
  /**
   * Whether a touch of this record would store anything now; false: it would be skipped (`touchAfter`). For
   * adapters that can answer at once then. True where the store is not open.
   */
  isTouchDue(record: SessionRecord<T>, options?: TouchOptions): boolean;
  /** Ends a session for good; true when there was one. */
  destroy(id: string): Promise<boolean>;
  /** The public name of a session. */
  handleOf(id: string): string;
  /** Whether a record is of this session, also under a name from the time of an older key. */
  isOf(id: string, record: SessionRecord<T>): boolean;
  /** Ends the session of this handle, if it is `user`'s where one is given; false for what is not a live session's handle. */
  destroyHandle(handle: string, options?: { user?: string | undefined }): Promise<boolean>;
  /**
   * Gives a session another id and ends it under the old one, for after a sign-in or a change of rights (OWASP:
   * renew the session id). It keeps its data, its age and its user. A session that is gone stays gone.
   */
  rotate(id: string, newId: string, data: T, options: RotateOptions<T>): Promise<SaveResult<T>>;
  /**
   * A user's live sessions, newest first, read in batches. A session that was saved before the call is among them.
   * Needs the option `user`.
   */
  listOf(user: string): AsyncIterableIterator<UserSession<T>>;
  /** Ends all sessions of a user, but for the one of the handle `except`. @returns how many it ended */
  destroyOf(user: string, options?: { except?: string | undefined }): Promise<number>;
  /** The name under which a user stands in {@link SessionChange.owner}. */
  ownerOf(user: string): string;
  /**
   * The changes of all sessions, made by any process, told by the server as they happen. When the connection was
   * lost it catches up: a session that was destroyed or has expired meanwhile is told, others once with their
   * latest change. Expiries are told by servers from 2.11 on.
   *
   * Reading rejects with `ERR_SESSION_NO_FEED` where the bucket does not republish, `ERR_SESSION_PERMISSION` where
   * the account may not subscribe, `ERR_SESSION_UNAVAILABLE` once the connection is closed.
   */
  changes(options?: ChangesOptions): SessionChanges;
  /** What the near cache has done; `undefined` where there is none. */
  cacheStats(): CacheStats | undefined;
  /** Handles of the live sessions; ids are not stored. Each once, those that begin meanwhile perhaps. */
  ids(): AsyncIterableIterator<string>;
  /** The live sessions, read in batches of bounded size. Each once, those that begin meanwhile perhaps. */
  all(): AsyncIterableIterator<SessionRecord<T>>;
  /**
   * How many sessions there are, from the server's own counter of the bucket's entries, in constant time. It
   * counts entries: besides live sessions also those that have expired and not been collected yet, delete
   * markers until their session's life would have ended, and what other applications keep in the bucket.
   * `{ exact: true }` reads every entry's headers and counts the live sessions only.
   */
  count(options?: CountOptions): Promise<number>;
  /** Destroys every session there is at the time of the call. */
  clear(): Promise<void>;
  /** Waits for operations under way, then ends our subscription. The connection stays open: it is the caller's. */
  close(): Promise<void>;
}

/**
 * The part of a NATS connection that the store uses. Connections of `@nats-io/transport-node` 3.x (and the
 * other transports of `@nats-io/nats-core`) and of `nats` 2.29 have it.
 */
export interface NatsConnectionLike {
  readonly info?:
    | { readonly version: string; readonly max_payload: number; readonly jetstream?: boolean | undefined }
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
}
