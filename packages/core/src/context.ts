import { isLive } from "./expiry.js";
import type { ResolvedOptions } from "./options.js";
import { decodeMetadata, type Metadata } from "./record.js";
import { isSame } from "./serializer.js";
import type { BucketConnection, Entry } from "./wire/index.js";

/** What every operation of a store works with. */
export interface Context {
  readonly options: ResolvedOptions;
  readonly bucket: BucketConnection;
  /** Start of this store's session keys; the handle follows. */
  readonly keyStart: string;
}

/** A live session as it is stored. */
export interface StoredSession {
  readonly revision: number;
  readonly value: Uint8Array;
  readonly metadata: Metadata;
}

/** When an operation that starts now must be over, in ms of `performance.now()`. */
export function deadlineOf(context: Context): number {
  return performance.now() + context.options.timeout;
}

/**
 * The live session in an entry; `null` for a marker and for a session whose time has come.
 * @throws `ERR_SESSION_CORRUPT`
 */
export function liveSession(context: Context, entry: Entry | null): StoredSession | null {
  if (!entry || entry.deleted) return null;
  const metadata = decodeMetadata(entry.header);
  if (!isLive(metadata, Date.now(), context.options)) return null;
  return { revision: entry.revision, value: entry.value, metadata };
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
