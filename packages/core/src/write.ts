import type { Context, StoredSession } from "./context.js";
import { seal } from "./encryption.js";
import { ttlSeconds } from "./expiry.js";
import { boundTo, encodeMetadata, HEADER, type Metadata } from "./record.js";
import { isSame } from "./serializer.js";
import type { Header, WriteAnswer } from "./wire/index.js";

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
export async function writeSession(
  context: Context,
  { handle, value, metadata, expected }: SessionWrite,
  deadline: number,
): Promise<WriteAnswer> {
  const write = {
    key: context.keyStart + handle,
    ...sealed(context, { handle, value, metadata }),
    expected,
    ttlSeconds: ttlSeconds(metadata.expiresAt, Date.now()),
  };
  const written = context.reads.beginWrite(handle);
  let stored: StoredSession | null = null;
  try {
    const answer = await context.bucket.entries.write(write, deadline);
    if (typeof answer === "number") stored = { revision: answer, value, metadata };
    return answer;
  } finally {
    written(stored);
  }
}

/** What a delete marker tells. */
export interface Removal {
  readonly handle: string;
  readonly metadata: Metadata;
  /** The revision that must still be there; `undefined` = whatever is there now. */
  readonly expected: number | undefined;
  /** The handle under which the session goes on. */
  readonly movedTo?: string | undefined;
  /** For the marker of a session that is given another name; see `move.ts`. */
  readonly content?: { readonly value: Uint8Array; readonly headers: Header[] } | undefined;
}

/**
 * How much longer than the session a delete marker lives, in s. After an unclean stop a server may show an
 * overwritten value again once the marker is gone; by then the value's own time must be over.
 */
const MARKER_SLACK = 60;

/** Puts a delete marker in place of a session, which outlives what is left of its life. */
export async function removeSession(
  context: Context,
  { handle, metadata, expected, movedTo, content }: Removal,
  deadline: number,
): Promise<WriteAnswer> {
  const headers = content?.headers ?? encodeMetadata(metadata);
  if (movedTo !== undefined) headers.push([HEADER.movedTo, movedTo]);
  const removal = {
    key: context.keyStart + handle,
    headers,
    ...(content && { value: content.value }),
    expected,
    ttlSeconds: ttlSeconds(metadata.expiresAt, Date.now()) + MARKER_SLACK,
  };
  const written = context.reads.beginWrite(handle);
  try {
    return await context.bucket.entries.remove(removal, deadline);
  } finally {
    written(null);
  }
}

/** A value and what goes beside it, as they are stored: encrypted where the store has keys. */
export function sealed(
  { options: { encryption }, keyStart }: Context,
  { handle, value, metadata, renamedTo }: Omit<SessionWrite, "expected"> & { readonly renamedTo?: string },
): { readonly value: Uint8Array; readonly headers: Header[] } {
  const headers: Header[] = encodeMetadata(metadata);
  if (!encryption) return { value, headers };
  const { keyId, value: bytes } = seal(encryption, value, boundTo(keyStart + handle, metadata, renamedTo));
  return { value: bytes, headers: [...headers, [HEADER.key, keyId]] };
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
