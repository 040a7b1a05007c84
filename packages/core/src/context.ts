import { keyOf, open } from "./encryption.js";
import { isLive } from "./expiry.js";
import type { ResolvedOptions } from "./options.js";
import { boundTo, decodeMetadata, HEADER, type Metadata } from "./record.js";
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
  /** The names that a session may have from the time of older keys, or from before there was one. */
  olderHandlesOf(id: string): readonly string[];
  /** A handle of `handleOf` with the older ones of the same session, where its id was met a short time ago. */
  aliasesOf(handle: string): readonly string[];
  /** @throws TypeError for anything but a non-empty string */
  ownerOf(user: string): string;
  /** The name of `ownerOf`, then those from the time of older keys. */
  ownersOf(user: string): readonly string[];
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
 * The live session in an entry; `null` for a marker and for a session whose time has come. This is where a
 * session's bytes come in.
 *
 * @param handle the name under which it was asked for; what the entry says of itself may be forged
 * @throws `ERR_SESSION_CORRUPT`, `ERR_SESSION_KEY_UNKNOWN`
 */
export function liveSession(context: BareContext, handle: string, entry: Entry | null): StoredSession | null {
  const metadata = liveMetadata(context, entry);
  if (!entry || !metadata) return null;
  return { revision: entry.revision, value: openEntry(context, handle, entry, metadata), metadata };
}

/**
 * What stands with the live session in an entry, from its headers alone.
 * @throws `ERR_SESSION_CORRUPT`; `ERR_SESSION_KEY_UNKNOWN` for a session that was moved to a name that cannot be
 * made without the key
 */
export function liveMetadata(context: BareContext, entry: Entry | null): Metadata | null {
  if (!entry) return null;
  if (entry.deleted) {
    if (entry.header(HEADER.renamedTo) !== "") keyOf(context.options.encryption, entry.header(HEADER.key));
    return null;
  }
  const metadata = decodeMetadata(entry.header);
  return isLive(metadata, Date.now(), context.options) ? metadata : null;
}

/** The serialised session in an entry. @throws `ERR_SESSION_CORRUPT`, `ERR_SESSION_KEY_UNKNOWN` */
export function openEntry(
  context: BareContext,
  handle: string,
  entry: Entry,
  metadata: Metadata,
): Uint8Array {
  const bound = boundTo(context.keyStart + handle, metadata, entry.header(HEADER.renamedTo));
  return open(context.options.encryption, entry.header(HEADER.key), entry.value, bound);
}
