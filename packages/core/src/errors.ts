/**
 * Codes of {@link SessionStoreError}. They are stable: match on the code, never on the message.
 *
 * - `ERR_SESSION_UNAVAILABLE`: no answer in time, no server that could answer, or a closed connection.
 *   It never means that there is no such session. A write may or may not have happened.
 * - `ERR_SESSION_CLOSED`: the store was closed with `close()`.
 * - `ERR_SESSION_PERMISSION`: the account may not use a subject; the message names it.
 * - `ERR_SESSION_JETSTREAM_OFF`: JetStream is not enabled for the server or the account.
 * - `ERR_SESSION_BUCKET_MISSING`: there is no such bucket, and it was not to be created (or has been deleted).
 * - `ERR_SESSION_BUCKET_MISMATCH`: the bucket is configured in a way that sessions cannot work with.
 * - `ERR_SESSION_BUCKET_FULL`: the bucket has reached its `maxBytes`, or the server its storage limit.
 * - `ERR_SESSION_TTL_TOO_LONG`: a session asked for a longer life than `maxTtl`. Nothing was written.
 * - `ERR_SESSION_TOO_LARGE`: the session does not fit into one message. The stored one is as it was.
 * - `ERR_SESSION_SERIALIZE`: the data cannot be serialised. The stored session is as it was.
 * - `ERR_SESSION_CORRUPT`: what is stored is not a session that this version can read.
 * - `ERR_SESSION_KEY_UNKNOWN`: the session is encrypted with a key that the store was not given. It is not lost.
 * - `ERR_SESSION_CONFLICT`: with `onConflict: "error"`, somebody else changed the session since it was loaded.
 * - `ERR_SESSION_CONTENTION`: other writers were faster too many times in a row.
 * - `ERR_SESSION_LIMIT`: with `onLimit: "refuse"`, the user has as many sessions as they may. Nothing was stored.
 * - `ERR_SESSION_NO_FEED`: the bucket does not republish its writes, so changes cannot be told.
 * - `ERR_SESSION_SERVER`: the server refused for another reason, which the message gives.
 */
export type SessionErrorCode =
  | "ERR_SESSION_UNAVAILABLE"
  | "ERR_SESSION_CLOSED"
  | "ERR_SESSION_PERMISSION"
  | "ERR_SESSION_JETSTREAM_OFF"
  | "ERR_SESSION_BUCKET_MISSING"
  | "ERR_SESSION_BUCKET_MISMATCH"
  | "ERR_SESSION_BUCKET_FULL"
  | "ERR_SESSION_TTL_TOO_LONG"
  | "ERR_SESSION_TOO_LARGE"
  | "ERR_SESSION_SERIALIZE"
  | "ERR_SESSION_CORRUPT"
  | "ERR_SESSION_KEY_UNKNOWN"
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
