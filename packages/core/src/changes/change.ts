import { isHandle } from "../format/keys.js";
import { type ChangeHeaders, changeHeaders } from "../format/metadata.js";
import type { ChangeMessage } from "../nats/changes.js";
import type { ChangeType, SessionChange } from "../types.js";

const TYPES: { readonly [write in NonNullable<ChangeHeaders["write"]>]: ChangeType } = {
  create: "created",
  update: "updated",
  merge: "updated",
  touch: "touched",
  destroy: "destroyed",
  expire: "expired",
};

/** The handle of the session that a key belongs to; nothing for other keys. */
export function handleIn(key: string, sessionKeyStart: string): string | undefined {
  if (!key.startsWith(sessionKeyStart)) return undefined;
  const handle = key.slice(sessionKeyStart.length);
  return isHandle(handle) ? handle : undefined;
}

/**
 * The change of a session that a write made; nothing where another application wrote under a session's key.
 * @param userHash the session's user, for a write whose headers do not name one: an expiry, another client's delete
 */
export function changeOf(
  { sequence, header, writtenAt }: ChangeMessage,
  handle: string,
  userHash: string | undefined,
): SessionChange | undefined {
  const headers = changeHeaders(header);
  if (!headers.write) return undefined;
  return {
    type: TYPES[headers.write],
    handle,
    userHash: headers.isOurs ? headers.userHash : userHash,
    movedTo: headers.movedTo,
    revision: sequence,
    at: writtenAt(),
    ...(headers.write === "merge" ? { isMerge: true } : {}),
  };
}

/** Whether two messages with one sequence number report the same write, as far as the feed reads them. */
export function isSameWrite(one: ChangeMessage, other: ChangeMessage): boolean {
  if (one === other) return true;
  if (one.key !== other.key || one.writtenAt() !== other.writtenAt()) return false;
  const [a, b] = [changeHeaders(one.header), changeHeaders(other.header)];
  return a.write === b.write && a.userHash === b.userHash && a.movedTo === b.movedTo && a.isOurs === b.isOurs;
}
