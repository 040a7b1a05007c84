import { SessionStoreError } from "./errors.js";

/** The storage format that this version writes, and the newest that it reads. */
export const FORMAT = 1;

/** What a write did, kept with the entry so that a headers-only feed can tell. */
export type WriteKind = "create" | "update" | "touch" | "destroy";

/** What is stored beside the value, in the message's headers. Times are unix milliseconds. */
export interface Metadata {
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly write: WriteKind;
}

/** Names of the headers of format 1. */
export const HEADER = {
  format: "Session-Format",
  created: "Session-Created",
  expires: "Session-Expires",
  write: "Session-Write",
} as const;

const WRITES: ReadonlySet<string> = new Set<WriteKind>(["create", "update", "touch", "destroy"]);

export function encodeMetadata(metadata: Metadata): [name: string, value: string][] {
  return [
    [HEADER.format, String(FORMAT)],
    [HEADER.created, String(metadata.createdAt)],
    [HEADER.expires, String(metadata.expiresAt)],
    [HEADER.write, metadata.write],
  ];
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
    createdAt: milliseconds(header, HEADER.created),
    expiresAt: milliseconds(header, HEADER.expires),
    write: write as WriteKind,
  };
}

export function corrupt(why: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_CORRUPT", `The stored entry cannot be read: ${why}.`, cause);
}

function milliseconds(header: (name: string) => string, name: string): number {
  const text = header(name);
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
    throw corrupt(`its ${name} header is not a time`);
  return value;
}
