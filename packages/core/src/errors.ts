/**
 * Codes of {@link SessionStoreError}. They are stable: match on the code, never on the message.
 *
 * - `ERR_SESSION_UNAVAILABLE`: no answer in time, no server that could answer, or a closed connection. It never means
 *   that there is no such session. A write may or may not have happened.
 * - `ERR_SESSION_CLOSED`: the store was closed with `close()`.
 * - `ERR_SESSION_PERMISSION`: the account may not use a subject; the message names it.
 * - `ERR_SESSION_SERVER_VERSION`: nats-server is older than 2.10.
 * - `ERR_SESSION_JETSTREAM_OFF`: JetStream is not enabled for the server or the account.
 * - `ERR_SESSION_BUCKET_MISSING`: there is no such bucket, and `createBucket` is false.
 * - `ERR_SESSION_BUCKET_MISMATCH`: the bucket is configured in a way that sessions cannot work with.
 * - `ERR_SESSION_BUCKET_FULL`: the bucket has reached its `maxBytes`, or the server its storage limit.
 * - `ERR_SESSION_DISK_FULL`: the server could not write to its disk. Free disk space; servers from 2.14 on then need
 *   a restart. What is stored stays readable.
 * - `ERR_SESSION_TTL_TOO_LONG`: with `onTtlTooLong: "error"`, a session asked for a longer life than `maxTtl`.
 * - `ERR_SESSION_TOO_LARGE`: the session does not fit into one message. The stored one is as it was.
 * - `ERR_SESSION_SERIALIZE`: the data cannot be serialised. The stored session is as it was.
 * - `ERR_SESSION_CORRUPT`: what is stored is not a session that this version, with these keys, can read.
 * - `ERR_SESSION_KEY_UNKNOWN`: the session is encrypted with a key that the store was not given. It is not lost.
 * - `ERR_SESSION_CALLBACK`: the application's `resolve`, `serializer` or `user` failed or did not settle in time.
 *   Nothing was stored.
 * - `ERR_SESSION_CONFLICT`: with `onConflict: "error"`, another request changed the session since it was loaded.
 * - `ERR_SESSION_CONTENTION`: other requests kept writing the session until the deadline.
 * - `ERR_SESSION_LIMIT`: with `onLimit: "refuse"`, the user has as many sessions as allowed. Nothing was stored.
 * - `ERR_SESSION_NO_FEED`: the bucket does not republish its writes, so there is no change feed.
 * - `ERR_SESSION_SERVER`: the server refused for another reason, which the message gives.
 */
export type SessionErrorCode =
  | "ERR_SESSION_UNAVAILABLE"
  | "ERR_SESSION_CLOSED"
  | "ERR_SESSION_PERMISSION"
  | "ERR_SESSION_SERVER_VERSION"
  | "ERR_SESSION_JETSTREAM_OFF"
  | "ERR_SESSION_BUCKET_MISSING"
  | "ERR_SESSION_BUCKET_MISMATCH"
  | "ERR_SESSION_BUCKET_FULL"
  | "ERR_SESSION_DISK_FULL"
  | "ERR_SESSION_TTL_TOO_LONG"
  | "ERR_SESSION_TOO_LARGE"
  | "ERR_SESSION_SERIALIZE"
  | "ERR_SESSION_CORRUPT"
  | "ERR_SESSION_KEY_UNKNOWN"
  | "ERR_SESSION_CALLBACK"
  | "ERR_SESSION_CONFLICT"
  | "ERR_SESSION_CONTENTION"
  | "ERR_SESSION_LIMIT"
  | "ERR_SESSION_NO_FEED"
  | "ERR_SESSION_SERVER";

/**
 * The one class of errors that the store's operations reject with (mistakes in options and arguments are
 * `TypeError`s). No message contains a session id or session data.
 */
export class SessionStoreError extends Error {
  override readonly name = "SessionStoreError";
  /** Stable code, see {@link SessionErrorCode}. */
  readonly code: SessionErrorCode;

  constructor(code: SessionErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The error for an outage: no server answered, so nothing is known of the session. */
export function unavailable(why: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_UNAVAILABLE", `Sessions cannot be reached: ${why}.`, cause);
}

export function isUnavailable(error: unknown): error is SessionStoreError {
  return error instanceof SessionStoreError && error.code === "ERR_SESSION_UNAVAILABLE";
}

export function corrupt(why: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_CORRUPT", `The stored entry cannot be read: ${why}.`, cause);
}
