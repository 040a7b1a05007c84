import type { Context, StoredSession } from "../context.js";
import { boundTo } from "../format/binding.js";
import { open, seal } from "../format/encryption.js";
import { isLive, ttlSeconds } from "../format/expiry.js";
import {
  decodeSession,
  decodeTombstone,
  encodeSession,
  encodeTombstone,
  keyIdIn,
  othersIn,
  type SessionMetadata,
  type StoredTombstone,
  type Tombstone,
} from "../format/metadata.js";
import { isSame } from "../format/serializer.js";
import type { Entry } from "../nats/replies.js";
import type { Write } from "../nats/writer.js";

/** A session's entry as it is to be stored. */
export interface SessionWrite {
  readonly handle: string;
  /** The serialised session. */
  readonly value: Uint8Array;
  readonly metadata: SessionMetadata;
  /** The revision that must still be there; 0 = no entry. */
  readonly expected: number;
}

/** The end of a session as it is to be stored. */
export interface TombstoneWrite {
  readonly handle: string;
  readonly tombstone: Tombstone;
  /** The revision that must still be there. */
  readonly expected: number;
}

/** What a read of a session's place found. */
export interface Found {
  readonly entry: Entry | null;
  /** The revision that is there; 0 = no entry. */
  readonly revision: number;
  /** What the session's headers say, whether it is live or not; `undefined` where there is none, or it is not readable. */
  readonly metadata: SessionMetadata | undefined;
  readonly isLive: boolean;
  /** The tombstone, if there is one. */
  readonly tombstone: StoredTombstone | undefined;
  /** Why the headers cannot be read. */
  readonly problem: Error | undefined;
  /** The session itself, where the near cache has it: then there is no entry. */
  readonly cached?: StoredSession;
}

/**
 * How much longer than the session its tombstone lives, in s. After an unclean stop a server may show an overwritten
 * value again once the tombstone is gone; by then the value itself must have expired, also where the clock of the
 * process that ended the session is some minutes ahead.
 */
const TOMBSTONE_SLACK = 600;

/** The entry of a session, encrypted where the store has keys: the one place where a session's bytes go out. */
export function sessionEntry(
  { options: { encryption } }: Context,
  key: string,
  { value, metadata, expected }: SessionWrite,
): Write {
  const seconds = ttlSeconds(metadata.expiresAt, Date.now());
  if (!encryption) return { key, value, headers: encodeSession(metadata), expected, ttlSeconds: seconds };
  const sealed = seal(encryption, value, boundTo(key, metadata));
  const headers = encodeSession(metadata, sealed.keyId);
  return { key, value: sealed.value, headers, expected, ttlSeconds: seconds };
}

/** The entry of a tombstone, which outlives what is left of its session's life. */
export function tombstoneEntry(key: string, { tombstone, expected }: TombstoneWrite): Omit<Write, "value"> {
  const seconds = ttlSeconds(tombstone.expiresAt, Date.now()) + TOMBSTONE_SLACK;
  return { key, headers: encodeTombstone(tombstone), expected, ttlSeconds: seconds };
}

export const NOTHING_FOUND: Found = {
  entry: null,
  revision: 0,
  metadata: undefined,
  isLive: false,
  tombstone: undefined,
  problem: undefined,
};

/** A live session that the near cache has, as if it had been read. */
export function foundInCache(cached: StoredSession): Found {
  const { revision, metadata } = cached;
  return { ...NOTHING_FOUND, revision, metadata, isLive: true, cached };
}

/** When what was found was stored (Unix ms). */
export function writtenAt({ entry, cached }: Found): number {
  return cached?.writtenAt ?? entry?.writtenAt() ?? 0;
}

/** What the headers of an entry say. */
export function foundIn(context: Context, entry: Entry | null): Found {
  if (!entry) return NOTHING_FOUND;
  const { revision, deleted, header } = entry;
  let metadata: SessionMetadata | undefined;
  let problem: Error | undefined;
  try {
    if (!deleted) {
      metadata = decodeSession(header);
      const keyId = context.options.encryption ? keyIdIn(header) : "";
      const others = othersIn(entry.ownHeaders, metadata, keyId);
      if (others) metadata = { ...metadata, others };
    }
  } catch (error) {
    problem = error as Error;
  }
  return {
    entry,
    revision,
    metadata,
    isLive: metadata !== undefined && isLive(metadata, Date.now(), context.options),
    tombstone: deleted ? decodeTombstone(header) : undefined,
    problem,
  };
}

/**
 * The live session that was found; `null` for a tombstone and for a session that has expired. The one place where a
 * session's bytes come in.
 *
 * @param key the key that was asked for: the key that the entry itself names may be forged
 * @throws `ERR_SESSION_CORRUPT`, `ERR_SESSION_KEY_UNKNOWN`
 */
export function sessionIn(context: Context, key: string, found: Found): StoredSession | null {
  const { entry, metadata, problem, cached } = found;
  if (problem) throw problem;
  if (cached) return cached;
  return entry && metadata && found.isLive ? opened(context, key, entry, metadata) : null;
}

function opened(
  { options: { encryption } }: Context,
  key: string,
  { header, value, revision }: Entry,
  metadata: SessionMetadata,
): StoredSession {
  const keyId = keyIdIn(header);
  if (!encryption && keyId === "") return { revision, value, metadata };
  return { revision, value: open(encryption, keyId, value, boundTo(key, metadata)), metadata };
}

/** Whether a stored session is exactly what a write of this process was to store: its answer was lost, not the write. */
export function isWritten(
  session: StoredSession,
  { value, metadata }: Pick<SessionWrite, "value" | "metadata">,
): boolean {
  const stored = session.metadata;
  return (
    stored.write === metadata.write &&
    stored.createdAt === metadata.createdAt &&
    stored.expiresAt === metadata.expiresAt &&
    isSame(session.value, value)
  );
}
