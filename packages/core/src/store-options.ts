import type { KeyObject } from "node:crypto";
import type { Resolve } from "./merge.js";

/** Turns session data into text and back, now or later. Errors are reported without the data. */
export interface SessionSerializer {
  stringify(data: object): string | PromiseLike<string>;
  parse(text: string): object | PromiseLike<object>;
}

/** Options of `openSessionStore` and of both adapters. All durations are milliseconds. */
export interface SessionStoreOptions {
  /** Name of the KV bucket. Default: `"sessions"`. */
  bucket?: string | undefined;
  /** Lets several applications share one bucket without seeing each other: letters, digits, `-`, `_`, dots between. Default: none. */
  prefix?: string | undefined;
  /** Life of a session whose cookie has no maxAge. Default: 24 h. */
  ttl?: number | undefined;
  /** The longest life a session may ask for, and the bucket's own TTL. Default: 30 days. */
  maxTtl?: number | undefined;
  /** Hard end counted from creation, however active the session is (OWASP: absolute timeout). Default: none. */
  absoluteTtl?: number | undefined;
  /**
   * A touch is skipped until this much has passed since the last write; 0 = every touch. A session may end up
   * to this much early, counted from its last activity. Default: 10 % of the life, at most 60 s.
   */
  touchAfter?: number | undefined;
  /** Deadline of every operation. Default: 2 s. */
  timeout?: number | undefined;
  /** Copies of the bucket in a cluster, 1 to 5. Used when the bucket is created. Default: 1. */
  replicas?: number | undefined;
  /** Where the server keeps the bucket. Used when the bucket is created. Default: `"file"`. */
  storage?: "file" | "memory" | undefined;
  /** Most bytes that the bucket may take. Used when the bucket is created. Default: no limit. */
  maxBytes?: number | undefined;
  /** Compress the bucket on disk (S2). Used when the bucket is created. Default: false. */
  compression?: boolean | undefined;
  /** Which servers may hold the bucket. Used when the bucket is created. Default: any. */
  placement?: { cluster?: string; tags?: string[] } | undefined;
  /** Create the bucket when it is missing. Default: true. */
  createBucket?: boolean | undefined;
  /** Change an existing bucket where it differs in a way that matters. Default: false, which makes it an error. */
  updateBucket?: boolean | undefined;
  /**
   * What a save does that finds the session changed by others since it was loaded. `merge` (default): keep the
   * changes of both sides, key by key; `overwrite`: ours replaces theirs; `error`: `ERR_SESSION_CONFLICT`. A
   * session that was destroyed meanwhile stays destroyed in every case.
   */
  onConflict?: "merge" | "overwrite" | "error" | undefined;
  /** Decides about a top-level key that was changed on both sides. Default: ours. */
  resolve?: Resolve | undefined;
  /**
   * Names the user whose session it is, from the session's data; `undefined` = nobody's. Any non-empty string;
   * it is kept hashed. Turned on for a bucket in use, it takes in each session at its next write.
   */
  // biome-ignore lint/suspicious/noExplicitAny: data of any store
  user?: ((data: any) => string | undefined) | undefined;
  /** How many sessions a user may have at a time. Default: no limit. Needs `user`. */
  maxSessionsPerUser?: number | undefined;
  /**
   * What happens to a sign-in beyond the limit. `end-oldest` (default): the sessions that have been the user's
   * longest are ended; `refuse`: the save rejects with `ERR_SESSION_LIMIT`.
   */
  onLimit?: "end-oldest" | "refuse" | undefined;
  /**
   * Keep sessions in this process, so that most loads ask nobody. What others change is dropped within
   * milliseconds, as the change feed tells it; `maxStale` (ms, default 1000) is how old an answer may be at most,
   * whatever gets lost: beyond it, and without a link, the server is asked as ever. `max` sessions are kept,
   * default 10 000. Needs the change feed: opening fails where there is none. Default: false.
   */
  cache?: boolean | { max?: number | undefined; maxStale?: number | undefined } | undefined;
  /** Default: JSON. */
  serializer?: SessionSerializer | undefined;
  /** Encrypts what is stored, with AES-256-GCM. Default: none. See {@link EncryptionOptions}. */
  encryption?: EncryptionOptions | undefined;
}

/** A key to encrypt sessions with. */
export interface EncryptionKey {
  /** Stored beside each value: 1 to 64 letters, digits, `-` and `_`. It never gets another key. */
  readonly id: string;
  /** 32 random bytes: as they are, as a secret `KeyObject`, or in base64. */
  readonly key: Uint8Array | KeyObject | string;
}

/**
 * Encryption at rest. The names of sessions and users in the bucket are then made with the key too, so handles are
 * other ones than without it. What was stored with an older key, or without one, is found and is moved to the
 * newest at its next write.
 */
export interface EncryptionOptions {
  /** The first key writes, all of them read. Every process that uses the bucket needs the same ones. */
  readonly keys: readonly EncryptionKey[];
  /**
   * Whether sessions are read that are stored without encryption. With `false` they are refused with
   * `ERR_SESSION_CORRUPT`. Default: true.
   */
  readonly allowPlain?: boolean | undefined;
}
