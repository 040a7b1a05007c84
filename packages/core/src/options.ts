import type { EncryptionOptions } from "./format/encryption-keys.js";
import type { SessionSerializer } from "./format/serializer.js";

export type { EncryptionKey, EncryptionOptions } from "./format/encryption-keys.js";
export type { SessionSerializer } from "./format/serializer.js";

// biome-ignore lint/suspicious/noExplicitAny: what a key of the application's data holds
type KeyValue = any;

/** The three versions of a top-level key of a session; `undefined` = the key is not there. */
export interface KeyConflict {
  /** As it was loaded. */
  readonly base: KeyValue;
  /** As this save wants it. */
  readonly ours: KeyValue;
  /** As another request has stored it since. */
  readonly theirs: KeyValue;
}

/**
 * Decides about a top-level key that both sides changed, also where both changed it to the same value. Returns the
 * value to store, or a promise of it; `undefined` removes the key.
 */
export type Resolve = (key: string, conflict: KeyConflict) => unknown;

/** Settings of the near cache. */
export interface CacheOptions {
  /**
   * How many sessions are kept at most.
   * @default 10_000
   */
  max?: number | undefined;
  /**
   * How many bytes of session data are kept at most.
   * @default 67_108_864 (64 MiB)
   */
  maxBytes?: number | undefined;
  /**
   * How old an answer of the cache may be at most (ms), whatever messages get lost. Beyond it, and while the
   * connection is down, the server is asked.
   * @default 1000
   */
  maxStale?: number | undefined;
}

/**
 * Options of a session store and of both adapters. All durations are milliseconds. An option with the value
 * `undefined` gets its default.
 */
export interface SessionStoreOptions {
  /**
   * Name of the KV bucket: letters, digits, `-` and `_`.
   * @default "sessions"
   */
  bucket?: string | undefined;
  /**
   * How many buckets hold the sessions together, 1 to 64: `sessions_0`, `sessions_1` and so on, in place of
   * `sessions`. Each has a leader of its own. It cannot be changed in place: every process on the buckets needs the
   * same number, and another one is refused with `ERR_SESSION_BUCKET_MISMATCH`.
   * @default 1
   */
  shards?: number | undefined;
  /**
   * JetStream domain of the bucket, as for an application on a leaf node that uses the hub's bucket.
   * @default that of the server
   * @example "hub"
   */
  domain?: string | undefined;
  /**
   * Start of the subjects of the JetStream API, where the account imports that of another account. Instead of `domain`.
   * @default "$JS.API"
   * @example "hub.js"
   */
  apiPrefix?: string | undefined;
  /**
   * Separates several applications in one bucket: each sees only sessions with its own prefix. Letters, digits, `-`
   * and `_`, in parts joined by dots.
   * @default none
   * @example "shop.eu"
   */
  prefix?: string | undefined;
  /**
   * Time to live of a session that does not ask for its own, such as one whose cookie has no maxAge (ms).
   * @default 86_400_000 (24 h), or `maxTtl` where that is less
   */
  ttl?: number | undefined;
  /**
   * Longest time to live that a session may ask for (ms). A new bucket keeps its entries for as long.
   * @default 400 days, the longest that browsers keep a cookie; 30 days on servers before 2.11
   */
  maxTtl?: number | undefined;
  /**
   * What happens to a session that asks for more than `maxTtl`: `"cut"` gives it `maxTtl`, with one process warning;
   * `"error"` rejects with `ERR_SESSION_TTL_TOO_LONG` and stores nothing.
   * @default "cut"
   */
  onTtlTooLong?: "cut" | "error" | undefined;
  /**
   * Ends a session this long after its creation, however active it is (ms; OWASP: absolute timeout).
   * @default none
   */
  absoluteTtl?: number | undefined;
  /**
   * A touch is skipped until this much time has passed since the last write (ms); 0 = never skipped. A session may end
   * this much early, counted from its last activity.
   * @default 10 % of the session's ttl, at most 60_000
   */
  touchAfter?: number | undefined;
  /**
   * Deadline of every operation (ms), with everything that it does on the way.
   * @default 2000
   */
  timeout?: number | undefined;
  /**
   * Whose answer a load takes. `"any"`: that of any replica or mirror; a replica that is cut off from the others
   * may answer with an old state, for `maxLeaderSilence`. `"leader"`: that of the bucket's leader, at the cost of load on one server.
   * @default "any"
   */
  reads?: "any" | "leader" | undefined;
  /**
   * How long replicas and mirrors may answer loads after the bucket's leader was heard last (ms). It bounds how long a
   * session lives on, after its end, where a network is split; beyond it loads reject with `ERR_SESSION_UNAVAILABLE`
   * until the leader answers. While such copies answer, the leader is asked every third of it.
   * @default 15_000, so that reads go on while a cluster elects a leader
   */
  maxLeaderSilence?: number | undefined;
  /**
   * What a save does when another request has changed the session since it was loaded. `"merge"` keeps the changes of
   * both, key by key; `"overwrite"` replaces the other's; `"error"` rejects with `ERR_SESSION_CONFLICT`. A session
   * that was destroyed stays destroyed in every case.
   * @default "merge"
   */
  onConflict?: "merge" | "overwrite" | "error" | undefined;
  /**
   * Decides about a top-level key that both sides changed.
   * @default ours
   * @example
   * ```ts
   * resolve: (key, { base, ours, theirs }) => (key === "visits" ? ours + theirs - base : ours)
   * ```
   */
  resolve?: Resolve | undefined;
  /**
   * Names the user of a session, from the session's data; `undefined` = the session has none. The name is any
   * non-empty string and is stored hashed. In a bucket in use, each session is listed from its next write on.
   * @default none: sessions are not listed by user
   * @example
   * ```ts
   * user: (data) => data.userId
   * ```
   */
  // biome-ignore lint/suspicious/noExplicitAny: data of any store
  user?: ((data: any) => string | undefined) | undefined;
  /**
   * How many sessions a user may have at a time. Requires `user`.
   * @default no limit
   */
  maxSessionsPerUser?: number | undefined;
  /**
   * What a sign-in beyond the limit does: `"end-oldest"` ends the sessions that the user signed in to first;
   * `"refuse"` rejects the save with `ERR_SESSION_LIMIT`.
   * @default "end-oldest"
   */
  onLimit?: "end-oldest" | "refuse" | undefined;
  /**
   * Keeps sessions in this process, so that most loads send no request. A change by another process drops the session
   * within milliseconds. Requires the change feed: where there is none, operations reject with `ERR_SESSION_NO_FEED`.
   * @default false
   */
  cache?: boolean | CacheOptions | undefined;
  /**
   * Turns session data into text. Data may be nested 500 levels deep and must not contain cycles.
   * @default JSON
   */
  serializer?: SessionSerializer | undefined;
  /**
   * Encrypts what is stored.
   * @default none
   */
  encryption?: EncryptionOptions | undefined;
  /**
   * Creates the bucket when it is missing.
   * @default true
   */
  createBucket?: boolean | undefined;
  /**
   * Changes an existing bucket where it differs in a way that matters. With `false` such a difference is an error.
   * @default false
   */
  updateBucket?: boolean | undefined;
  /**
   * Number of copies of a new bucket in a cluster, 1 to 5.
   * @default 1
   */
  replicas?: number | undefined;
  /**
   * Where the server keeps a new bucket. A restart of the server ends all sessions in `"memory"`.
   * @default "file"
   */
  storage?: "file" | "memory" | undefined;
  /**
   * When the server acknowledges a write to a new bucket: `"sync"` after it is written, `"async"` before, so that a
   * crash of the server can lose acknowledged writes. `"async"` requires server 2.12 and one replica.
   * @default "sync"
   */
  persist?: "sync" | "async" | undefined;
  /**
   * Most bytes that a new bucket may take. A full bucket rejects writes with `ERR_SESSION_BUCKET_FULL`.
   * @default no limit
   */
  maxBytes?: number | undefined;
  /**
   * Compresses a new bucket on disk (S2).
   * @default false
   */
  compression?: boolean | undefined;
  /**
   * Which servers may hold a new bucket.
   * @default any
   */
  placement?: { cluster?: string | undefined; tags?: readonly string[] | undefined } | undefined;
  /**
   * Makes a new bucket publish the headers of each write: the change feed, which `changes()` and `cache` require.
   * Without it a write costs the server about a fifth less.
   * @default true
   */
  republish?: boolean | undefined;
}
