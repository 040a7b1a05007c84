import type { Context } from "../context.js";
import { bucketOf } from "../entries/place.js";
import { foundIn } from "../entries/session-entry.js";
import { isHandle } from "../format/keys.js";
import { decodeTombstone, keyIdIn, type WriteKind } from "../format/metadata.js";
import type { Bucket } from "../nats/bucket.js";
import type { Entry } from "../nats/replies.js";

/**
 * An entry of the bucket, from its headers alone: nothing is decrypted. What the entry does not say, or is not a
 * session's, is `undefined`.
 */
export interface EntryInfo {
  /** A session, the index entry of a user, or an entry of another prefix or another application. */
  readonly kind: "session" | "index" | "other";
  /** `expired`: not removed by the server yet. `ended`: a tombstone. `unreadable`: of another format, or damaged. */
  readonly state: "live" | "expired" | "ended" | "unreadable";
  readonly handle: string | undefined;
  readonly userHash: string | undefined;
  /** Unix ms. */
  readonly createdAt: number | undefined;
  /** Unix ms. */
  readonly expiresAt: number | undefined;
  /** When the entry was stored, by the server's clock (Unix ms). */
  readonly lastWriteAt: number;
  readonly lastWrite: WriteKind | undefined;
  readonly endedBy: "destroyed" | "expired" | undefined;
  /** Where the session goes on after a rotation. */
  readonly movedTo: string | undefined;
  /** Id of the key that the value is encrypted with; `undefined` = the value is plain. */
  readonly keyId: string | undefined;
  /** Size of the value as it is stored. */
  readonly bytes: number;
  readonly revision: number;
  /** Why the entry is unreadable. */
  readonly problem: string | undefined;
}

/** @param key the entry's key in this bucket */
export function infoOf(context: Context, bucket: Bucket, key: string, entry: Entry): EntryInfo {
  const { kind, name } = partsOf(context, bucket, key);
  const { deleted, header, value, revision } = entry;
  const info: EntryInfo = {
    kind,
    state: deleted ? "ended" : "live",
    handle: kind === "session" ? name : undefined,
    userHash: kind === "index" ? name : undefined,
    createdAt: undefined,
    expiresAt: undefined,
    lastWriteAt: entry.writtenAt(),
    lastWrite: undefined,
    endedBy: undefined,
    movedTo: undefined,
    keyId: undefined,
    bytes: value.length,
    revision,
    problem: undefined,
  };
  if (kind !== "session") return info;
  if (deleted) {
    const { createdAt, expiresAt, userHash, movedTo, reason } = decodeTombstone(header);
    // Another client's tombstone knows no times.
    const times = { createdAt: createdAt || undefined, expiresAt: expiresAt || undefined };
    return { ...info, ...times, userHash, movedTo, endedBy: reason };
  }
  const { metadata, isLive, problem } = foundIn(context, entry);
  if (!metadata) return { ...info, state: "unreadable", problem: problem?.message };
  return {
    ...info,
    state: isLive ? "live" : "expired",
    userHash: metadata.membership?.userHash,
    createdAt: metadata.createdAt,
    expiresAt: metadata.expiresAt,
    lastWrite: metadata.write,
    keyId: keyIdIn(header) || undefined,
  };
}

function partsOf(
  { buckets, sessionKeyStart, indexKeyStart }: Context,
  bucket: Bucket,
  key: string,
): { readonly kind: EntryInfo["kind"]; readonly name: string } {
  for (const [kind, start] of [
    ["session", sessionKeyStart],
    ["index", indexKeyStart],
  ] as const) {
    const name = key.startsWith(start) ? key.slice(start.length) : "";
    if (isHandle(name) && bucketOf(buckets, name) === bucket) return { kind, name };
  }
  return { kind: "other", name: key };
}
