import { SessionStoreError } from "./errors.js";
import { isHandle } from "./key.js";

/** The storage format that this version writes, and the newest that it reads. */
export const FORMAT = 1;

/** What a write did, kept with the entry so that a headers-only feed can tell. */
export type WriteKind = "create" | "update" | "touch" | "destroy";

/** Whose session it is, and where that stands in the user index. */
export interface Ownership {
  /** The user's name, hashed. */
  readonly owner: string;
  /** Revision of the index entry with which the session became this user's: the order in which they signed in. */
  readonly since: number;
  /** Until when the index entry stays, unix ms; it is renewed before the session outlives it. */
  readonly listedUntil: number;
  /** Revision of the index entry. */
  readonly indexRevision: number;
}

/** What is stored beside the value, in the message's headers. Times are unix milliseconds. */
export interface Metadata {
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly write: WriteKind;
  readonly ownership?: Ownership | undefined;
}

/** Names of the headers of format 1. */
export const HEADER = {
  format: "Session-Format",
  created: "Session-Created",
  expires: "Session-Expires",
  write: "Session-Write",
  owner: "Session-Owner",
  index: "Session-Index",
  movedTo: "Session-Moved-To",
  /** The key that an encrypted value opens with; in the marker of a renamed session, the key of its new name. */
  key: "Session-Key",
  /** In the marker of a session that was given the name of another key: its new handle. */
  renamedTo: "Session-Renamed-To",
  /** In the same marker once the session is in its new place: the revision that the marker had before. */
  renamedAt: "Session-Renamed-At",
} as const;

const WRITES: ReadonlySet<string> = new Set<WriteKind>(["create", "update", "touch", "destroy"]);

export function encodeMetadata(metadata: Metadata): [name: string, value: string][] {
  const headers: [name: string, value: string][] = [
    [HEADER.format, String(FORMAT)],
    [HEADER.created, String(metadata.createdAt)],
    [HEADER.expires, String(metadata.expiresAt)],
    [HEADER.write, metadata.write],
  ];
  if (metadata.ownership) {
    const { owner, since, listedUntil, indexRevision } = metadata.ownership;
    headers.push([HEADER.owner, owner], [HEADER.index, `${since} ${listedUntil} ${indexRevision}`]);
  }
  return headers;
}

/**
 * What an encrypted value is bound to: its place and all that is stored beside it. With any of it exchanged the
 * value does not open. None of the parts can hold a line break.
 */
export function boundTo(key: string, metadata: Metadata, renamedTo = ""): string {
  return [key, renamedTo, ...encodeMetadata(metadata).map(([name, value]) => `${name}: ${value}`)].join("\n");
}

/**
 * Reads the metadata of an entry; `header` gives the value of a header or an empty string.
 * @throws `ERR_SESSION_CORRUPT` when the entry is not a session, or was written by a newer format.
 */
export function decodeMetadata(header: (name: string) => string): Metadata {
  const format = header(HEADER.format);
  if (format !== "1") {
    throw corrupt(
      format === ""
        ? "it has no Session-Format header"
        : `its format is not ${FORMAT}, the one this version reads`,
    );
  }
  const write = header(HEADER.write);
  if (!WRITES.has(write)) throw corrupt(`its ${HEADER.write} header is not one of ${[...WRITES].join(", ")}`);
  return {
    createdAt: whole(header(HEADER.created), HEADER.created),
    expiresAt: whole(header(HEADER.expires), HEADER.expires),
    write: write as WriteKind,
    ownership: ownershipIn(header),
  };
}

function ownershipIn(header: (name: string) => string): Ownership | undefined {
  const owner = header(HEADER.owner);
  if (owner === "") return undefined;
  if (!isHandle(owner)) throw corrupt(`its ${HEADER.owner} header is not a hashed name`);
  const parts = header(HEADER.index).split(" ");
  const [since, listedUntil, indexRevision] = parts.map((text) => whole(text, HEADER.index));
  if (since === undefined || listedUntil === undefined || indexRevision === undefined || parts.length > 3) {
    throw corrupt(`its ${HEADER.index} header is not three numbers`);
  }
  return { owner, since, listedUntil, indexRevision };
}

export function corrupt(why: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_CORRUPT", `The stored entry cannot be read: ${why}.`, cause);
}

function whole(text: string, name: string): number {
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
    throw corrupt(`its ${name} header is not a whole number`);
  return value;
}
