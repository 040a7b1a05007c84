import { corrupt } from "../errors.js";
import { isHandle } from "./keys.js";

export type Header = readonly [name: string, value: string];

/** Gives the value of a header, or an empty string where there is none. */
export type HeaderReader = (name: string) => string;

/** The storage format that this version writes, and the only one that it reads. */
const FORMAT = "1";

/** Names of the headers of format 1. All times in them are Unix ms. */
export const HEADER = {
  format: "Session-Format",
  created: "Session-Created",
  expires: "Session-Expires",
  write: "Session-Write",
  /** Hash of the user's name. */
  user: "Session-User",
  /** Where the session stands in the user's index entry. */
  index: "Session-Index",
  /** In the tombstone of a rotation: the handle under which the session goes on. */
  movedTo: "Session-Moved-To",
  /** Id of the key that an encrypted value opens with. */
  key: "Session-Key",
} as const;

/** What a write did, for a feed of headers alone. `merge`: an update with what another request has changed. */
export type WriteKind = "create" | "update" | "merge" | "touch";

const WRITE_KINDS: ReadonlySet<string> = new Set<WriteKind>(["create", "update", "merge", "touch"]);

/** A session's place in the index entry of its user. */
export interface Membership {
  readonly userHash: string;
  /** Place in the order of sign-in, see {@link IndexMember}; a rotation keeps it. */
  readonly place: number;
  /** Until when the index entry is kept (Unix ms); it has to be renewed before a session outlives it. */
  readonly indexedUntil: number;
}

/** What is stored beside a session's value. */
export interface SessionMetadata {
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly write: WriteKind;
  readonly membership?: Membership | undefined;
  /**
   * Headers that this version does not know, from a later one or another application. Every write of the session keeps
   * them.
   */
  readonly others?: readonly Header[] | undefined;
}

const KNOWN: ReadonlySet<string> = new Set(Object.values(HEADER));

/** Gives the headers of an entry that are not NATS' own; nothing where there are as many as expected. */
export type OwnHeaders = (expected: number) => readonly Header[] | undefined;

/** What a session's headers hold beside what this version reads; see `SessionMetadata.others`. */
export function othersIn(
  own: OwnHeaders,
  { membership }: SessionMetadata,
  keyId: string,
): readonly Header[] | undefined {
  return unknownIn(own(4 + (membership ? 2 : 0) + (keyId === "" ? 0 : 1)));
}

function unknownIn(headers: readonly Header[] | undefined): readonly Header[] | undefined {
  const unknown = headers?.filter(([name]) => !KNOWN.has(name)) ?? [];
  return unknown.length > 0 ? unknown : undefined;
}

/** @param keyId id of the key that the value is encrypted with; empty = the value is plain */
export function encodeSession(metadata: SessionMetadata, keyId = ""): Header[] {
  const headers: Header[] = [
    [HEADER.format, FORMAT],
    [HEADER.created, String(metadata.createdAt)],
    [HEADER.expires, String(metadata.expiresAt)],
    [HEADER.write, metadata.write],
  ];
  if (metadata.membership) {
    const { userHash, place, indexedUntil } = metadata.membership;
    headers.push([HEADER.user, userHash], [HEADER.index, `${place} ${indexedUntil}`]);
  }
  if (keyId !== "") headers.push([HEADER.key, keyId]);
  if (metadata.others) headers.push(...metadata.others);
  return headers;
}

/** @throws `ERR_SESSION_CORRUPT` when the entry is not a session of this format */
export function decodeSession(read: HeaderReader): SessionMetadata {
  requireFormat(read);
  const write = read(HEADER.write);
  if (!isWriteKind(write)) throw corrupt(`its ${HEADER.write} header is not create, update, merge or touch`);
  return {
    createdAt: numberIn(read(HEADER.created), HEADER.created),
    expiresAt: numberIn(read(HEADER.expires), HEADER.expires),
    write,
    membership: membershipIn(read),
  };
}

/** Id of the key that a session's value is encrypted with; empty = the value is plain. */
export function keyIdIn(read: HeaderReader): string {
  return read(HEADER.key);
}

/** What stays of a session that was ended. */
export interface Tombstone {
  /** 0 where unknown: another client deleted the entry, or it expired. */
  readonly createdAt: number;
  /** When the session would have ended; 0 where unknown. */
  readonly expiresAt: number;
  readonly userHash?: string | undefined;
  /** The handle under which the session goes on after a rotation. */
  readonly movedTo?: string | undefined;
}

export function encodeTombstone({ createdAt, expiresAt, userHash, movedTo }: Tombstone): Header[] {
  const headers: Header[] = [
    [HEADER.format, FORMAT],
    [HEADER.created, String(createdAt)],
    [HEADER.expires, String(expiresAt)],
    [HEADER.write, "destroy"],
  ];
  if (userHash !== undefined) headers.push([HEADER.user, userHash]);
  if (movedTo !== undefined) headers.push([HEADER.movedTo, movedTo]);
  return headers;
}

/** A tombstone as it was read, also one of the server or of another client. */
export interface StoredTombstone extends Tombstone {
  readonly reason: "destroyed" | "expired";
}

/** Never throws: whatever a deleted entry says of itself, the session is gone. */
export function decodeTombstone(read: HeaderReader): StoredTombstone {
  return {
    createdAt: wholeNumber(read(HEADER.created)) ?? 0,
    expiresAt: wholeNumber(read(HEADER.expires)) ?? 0,
    userHash: handleIn(read, HEADER.user),
    movedTo: handleIn(read, HEADER.movedTo),
    reason: isExpiry(read) ? "expired" : "destroyed",
  };
}

/** A session of a user, as the user's index entry lists it. */
export interface IndexMember {
  readonly handle: string;
  /**
   * The session's place in the order of sign-in: the revision of the entry that added it. `undefined` = added by the
   * newest version of the entry.
   */
  readonly place: number | undefined;
  /**
   * When the session was added, by the server's clock (Unix ms); stored rounded up to a whole second, so that no
   * member seems older than it is. `undefined` = by the newest version of the entry, whose time the server tells.
   */
  readonly addedAt: number | undefined;
}

/** The sessions of a user. */
export interface IndexEntry {
  readonly expiresAt: number;
  readonly members: readonly IndexMember[];
  /** As in {@link SessionMetadata}. */
  readonly others?: readonly Header[] | undefined;
}

/** `[place] handle [addedAt in s]`, numbers in base 36. */
const MEMBER = /^(?:([0-9a-z]{1,11}) )?([A-Za-z0-9_-]{43})(?: ([0-9a-z]{1,8}))?$/;

export function encodeIndexEntry({ expiresAt, members, others = [] }: IndexEntry): {
  headers: Header[];
  value: Uint8Array;
} {
  const lines = members.map(({ place, handle, addedAt }) => {
    const line = place === undefined ? handle : `${place.toString(36)} ${handle}`;
    return addedAt === undefined ? line : `${line} ${Math.ceil(addedAt / 1000).toString(36)}`;
  });
  return {
    headers: [[HEADER.format, FORMAT], [HEADER.expires, String(expiresAt)], ...others],
    value: Buffer.from(lines.join("\n"), "latin1"),
  };
}

/** @throws `ERR_SESSION_CORRUPT` when the entry is not an index entry of this format */
export function decodeIndexEntry(read: HeaderReader, value: Uint8Array, own?: OwnHeaders): IndexEntry {
  requireFormat(read);
  const expiresAt = numberIn(read(HEADER.expires), HEADER.expires);
  const found = unknownIn(own?.(2));
  const others = found && { others: found };
  if (value.length === 0) return { expiresAt, members: [], ...others };
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1");
  return { expiresAt, members: text.split("\n").map(memberIn), ...others };
}

function memberIn(line: string): IndexMember {
  const [, first, handle, addedAt] = MEMBER.exec(line) ?? [];
  const place = first === undefined ? undefined : Number.parseInt(first, 36);
  if (handle === undefined || (place !== undefined && !Number.isSafeInteger(place))) {
    throw corrupt("a line of its value is not a member of a user index");
  }
  return {
    handle,
    place,
    addedAt: addedAt === undefined ? undefined : Number.parseInt(addedAt, 36) * 1000,
  };
}

/** What the headers of a write tell the change feed. */
export interface ChangeHeaders {
  /** `undefined` = neither a session nor the end of one. */
  readonly write: WriteKind | "destroy" | "expire" | undefined;
  readonly userHash: string | undefined;
  readonly movedTo: string | undefined;
  /** False for what the server or another client wrote. */
  readonly isOurs: boolean;
}

export function changeHeaders(read: HeaderReader): ChangeHeaders {
  return {
    write: changeIn(read),
    userHash: handleIn(read, HEADER.user),
    movedTo: handleIn(read, HEADER.movedTo),
    isOurs: read(HEADER.format) === FORMAT,
  };
}

function changeIn(read: HeaderReader): ChangeHeaders["write"] {
  // Neither the server's expiry message (ADR-43) nor a deletion by another client, such as `nats kv del`, has
  // headers of this store.
  if (isExpiry(read)) return "expire";
  if (read("KV-Operation") !== "") return "destroy";
  const write = read(HEADER.write);
  return isWriteKind(write) ? write : undefined;
}

function isExpiry(read: HeaderReader): boolean {
  return read("Nats-Marker-Reason") === "MaxAge";
}

function isWriteKind(text: string): text is WriteKind {
  return WRITE_KINDS.has(text);
}

function requireFormat(read: HeaderReader): void {
  const format = read(HEADER.format);
  if (format === FORMAT) return;
  if (format === "") throw corrupt(`it has no ${HEADER.format} header`);
  throw corrupt(`its format is not ${FORMAT}, the one that this version reads`);
}

function membershipIn(read: HeaderReader): Membership | undefined {
  const userHash = read(HEADER.user);
  if (userHash === "") return undefined;
  if (!isHandle(userHash)) throw corrupt(`its ${HEADER.user} header is not a hashed name`);
  const [place = "", indexedUntil = "", ...rest] = read(HEADER.index).split(" ");
  if (rest.length > 0) throw corrupt(`its ${HEADER.index} header is not two numbers`);
  return {
    userHash,
    place: numberIn(place, HEADER.index),
    indexedUntil: numberIn(indexedUntil, HEADER.index),
  };
}

function handleIn(read: HeaderReader, name: string): string | undefined {
  const value = read(name);
  return isHandle(value) ? value : undefined;
}

function numberIn(text: string, name: string): number {
  const number = wholeNumber(text);
  if (number === undefined) throw corrupt(`its ${name} header does not hold a whole number`);
  return number;
}

/** Without leading zeros: `boundTo` must give the very text that was stored. */
function wholeNumber(text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}
