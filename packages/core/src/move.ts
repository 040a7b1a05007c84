import { type Context, deadlineOf, liveMetadata, openEntry } from "./context.js";
import { destroySession } from "./destroy.js";
import { isLive } from "./expiry.js";
import { isHandle } from "./key.js";
import { decodeMetadata, HEADER, type Metadata, type Ownership } from "./record.js";
import { deserialize } from "./serializer.js";
import { StoredRecord } from "./stored-record.js";
import { leave, ownershipOf, ownersIn } from "./user-index.js";
import type { Entry, Header } from "./wire/index.js";
import { removeSession, sealed, writeSession } from "./write.js";

const EMPTY = new Uint8Array(0);

/**
 * Moves a session that was just written to another of its names, in three writes:
 *
 * 1. its entry becomes a marker that names the new place and holds the session, if nobody has written since;
 * 2. it is stored in the new place, by whoever comes first: this process, or any that finds the marker;
 * 3. the marker is emptied.
 *
 * The first write decides: from then on nobody writes the old entry, and who had it loaded looks for the session
 * under its other names. So it is never in two places, and at no moment in none.
 */
export async function moveSession<T extends object>(
  context: Context,
  record: StoredRecord<T>,
  handle: string,
): Promise<StoredRecord<T>> {
  const deadline = deadlineOf(context);
  const { createdAt, expiresAt, revision, handle: from } = record;
  const before = StoredRecord.ownershipOf(record);
  const ownership = before && (await enteredUnder(context, record, before, handle, deadline));
  const metadata: Metadata = { createdAt, expiresAt, write: "destroy", ownership };
  const value = StoredRecord.valueOf(record);
  const content = contentOf(context, { from, handle, metadata, value });
  const answer = await removeSession(
    context,
    { handle: from, metadata, expected: revision, content },
    deadline,
  );
  if (typeof answer === "number") {
    const moved = { from, handle, value, metadata, movedAt: answer };
    const stored = await storeMoved(context, moved, deadline);
    await emptyMarker(context, moved, deadline);
    leave(context, from, before);
    return stored === undefined ? record.under(handle) : record.renewed(stored, metadata, handle);
  }
  // Whoever has written there has this session in hands, and moves it. Our own marker, the answer to which was
  // lost, is like another's.
  leave(context, handle, answer === "lost" ? undefined : ownership);
  return record;
}

/** What the marker of a session that was moved tells. */
interface Move {
  readonly handle: string;
  /** Its place among all writes: the revision that the marker had first. */
  readonly at: number;
  /** Whether the session may not be in its new place yet; it is in the marker then. */
  readonly isUnderWay: boolean;
}

/** The move that an entry tells of, if it does. */
export function moveOf(entry: Entry | null): Move | undefined {
  const handle = entry?.deleted ? entry.header(HEADER.renamedTo) : "";
  if (!entry || !isHandle(handle)) return undefined;
  const isUnderWay = entry.value.length > 0;
  const at = isUnderWay ? 0 : Number.parseInt(entry.header(HEADER.renamedAt), 10);
  return { handle, isUnderWay, at: at || entry.revision };
}

/**
 * Where the session of an entry was moved to, if it was. A move that was begun is first brought to its end.
 * @throws `ERR_SESSION_CORRUPT`, `ERR_SESSION_KEY_UNKNOWN`
 */
export async function moveTarget(
  context: Context,
  from: string,
  entry: Entry | null,
  deadline: number,
): Promise<string | undefined> {
  const move = moveOf(entry);
  if (!entry || !move?.isUnderWay) return move?.handle;
  const { handle } = move;
  const metadata = decodeMetadata(entry.header);
  const value = openEntry(context, from, entry, metadata);
  const moved = { from, handle, value, metadata, movedAt: entry.revision };
  if (isLive(metadata, Date.now(), context.options)) await storeMoved(context, moved, deadline);
  await emptyMarker(context, moved, deadline);
  return handle;
}

interface Moved {
  readonly from: string;
  readonly handle: string;
  readonly value: Uint8Array;
  readonly metadata: Metadata;
  /** Revision of the marker. */
  readonly movedAt: number;
}

/** @returns the revision, where it was this process that stored it */
async function storeMoved(
  context: Context,
  { handle, value, metadata: { createdAt, expiresAt, ownership }, movedAt }: Moved,
  deadline: number,
): Promise<number | undefined> {
  const metadata: Metadata = { createdAt, expiresAt, write: "create", ownership };
  for (let expected = 0; ; ) {
    const answer = await writeSession(context, { handle, value, metadata, expected }, deadline);
    if (typeof answer === "number") return answer;
    const found = await context.bucket.entries.readFromLeader(context.keyStart + handle, deadline);
    // What was written there later has come from this move, and may have ended since. Only what was there before
    // and is no session is replaced.
    if (found && ((moveOf(found)?.at ?? found.revision) > movedAt || liveMetadata(context, found))) {
      return undefined;
    }
    expected = found?.revision ?? 0;
  }
}

/** Takes the session out of the marker: once it is in its new place, it is to end there for good. */
async function emptyMarker(context: Context, moved: Moved, deadline: number): Promise<void> {
  const { from, metadata, movedAt } = moved;
  const content = contentOf(context, { ...moved, value: EMPTY });
  const marker = { handle: from, metadata, expected: movedAt, content };
  if (typeof (await removeSession(context, marker, deadline)) === "number") return;
  const entry = await context.bucket.entries.readFromLeader(context.keyStart + from, deadline);
  // Another has done it. Or the session was ended there by force, and the marker is gone with it.
  if (entry?.deleted && !moveOf(entry)) await destroySession(context, moved.handle);
}

/** What the marker of a session that moves holds: the session, until that is in its new place. */
function contentOf(
  context: Context,
  { from, handle, value, metadata, movedAt }: Omit<Moved, "movedAt"> & { readonly movedAt?: number },
) {
  const content = sealed(context, { handle: from, value, metadata, renamedTo: handle });
  const told: Header[] = [[HEADER.renamedTo, handle]];
  if (movedAt !== undefined) told.push([HEADER.renamedAt, String(movedAt)]);
  return { value: value.length > 0 ? content.value : EMPTY, headers: [...content.headers, ...told] };
}

/** The ownership of a session in its new place, with its entry in the index, under the newest name of the user. */
async function enteredUnder(
  context: Context,
  record: StoredRecord<object>,
  before: Ownership,
  handle: string,
  deadline: number,
): Promise<Ownership | undefined> {
  // What the caller has made of the data since they were stored is not what is stored.
  const data = await deserialize(StoredRecord.valueOf(record), context.options.serializer);
  const owners = ownersIn(context, data, before);
  const owner = owners.includes(before.owner) ? owners[0] : before.owner;
  const { expiresAt } = record;
  const owned = { handle, owners: owner ? [owner] : [], since: before.since, expiresAt };
  return ownershipOf(context, owned, deadline);
}
