import type { Context, StoredSession } from "./context.js";
import { ttlSeconds } from "./expiry.js";
import { encodeMetadata, type Metadata } from "./record.js";
import { isSame } from "./serializer.js";
import type { WriteAnswer } from "./wire/index.js";

/** A session's entry as it is to be stored. */
export interface SessionWrite {
  readonly handle: string;
  /** The serialised session. */
  readonly value: Uint8Array;
  readonly metadata: Metadata;
  /** The revision that must still be there, 0 = none; `undefined` = whatever is there now. */
  readonly expected: number | undefined;
}

/** Stores a session: the one place where a session's bytes go out. `liveSession` is where they come in. */
export function writeSession(
  context: Context,
  { handle, value, metadata, expected }: SessionWrite,
  deadline: number,
): Promise<WriteAnswer> {
  const write = {
    key: context.keyStart + handle,
    value,
    headers: encodeMetadata(metadata),
    expected,
    ttlSeconds: ttlSeconds(metadata.expiresAt, Date.now()),
  };
  return context.bucket.entries.write(write, deadline);
}

/** Whether what is stored is exactly what a write of ours was to store: its answer was lost, the write was not. */
export function isOurs(session: StoredSession, value: Uint8Array, metadata: Metadata): boolean {
  return (
    session.metadata.write === metadata.write &&
    session.metadata.createdAt === metadata.createdAt &&
    session.metadata.expiresAt === metadata.expiresAt &&
    isSame(session.value, value)
  );
}
