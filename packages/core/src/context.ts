import { isLive } from "./expiry.js";
import type { ResolvedOptions } from "./options.js";
import { decodeMetadata, type Metadata } from "./record.js";
import type { SessionReads } from "./session-reads.js";
import type { BucketConnection, Entry } from "./wire/index.js";

/** What every operation of a store works with, but for the way that sessions are read. */
export interface BareContext {
  readonly options: ResolvedOptions;
  readonly bucket: BucketConnection;
  readonly names: Names;
  /** Start of this store's session keys; the handle follows. */
  readonly keyStart: string;
  /** Start of this store's index keys; owner, a dot and handle follow. */
  readonly indexStart: string;
  /** Runs what nobody waits for. `close()` does; a failure is of no consequence. */
  readonly later: (task: () => Promise<unknown>) => void;
}

export interface Context extends BareContext {
  readonly reads: SessionReads;
}

/** How sessions and users are named in the bucket. */
export interface Names {
  /** @throws TypeError for anything but a string */
  handleOf(id: string): string;
  /** @throws TypeError for anything but a non-empty string */
  ownerOf(user: string): string;
}

/** A live session as it is stored. */
export interface StoredSession {
  readonly revision: number;
  readonly value: Uint8Array;
  readonly metadata: Metadata;
}

/** When an operation that starts now must be over, in ms of `performance.now()`. */
export function deadlineOf(context: BareContext): number {
  return performance.now() + context.options.timeout;
}

/**
 * The live session in an entry; `null` for a marker and for a session whose time has come.
 * @throws `ERR_SESSION_CORRUPT`
 */
export function liveSession(context: BareContext, entry: Entry | null): StoredSession | null {
  if (!entry || entry.deleted) return null;
  const metadata = decodeMetadata(entry.header);
  if (!isLive(metadata, Date.now(), context.options)) return null;
  return { revision: entry.revision, value: entry.value, metadata };
}
