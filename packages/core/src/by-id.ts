import { contention } from "./contention.js";
import { type Context, deadlineOf, liveSession, type StoredSession } from "./context.js";
import { destroyWhereItIs, endEntry, forceMarker } from "./destroy.js";
import { moveOf, moveSession, moveTarget } from "./move.js";
import { saveSession } from "./save.js";
import { StoredRecord } from "./stored-record.js";
import { touchSession } from "./touch.js";
import type { SaveOptions, SaveResult, SessionRecord, TouchOptions, TouchResult } from "./types.js";

/** A session with the name that it has in the bucket. */
export interface Found {
  readonly handle: string;
  readonly session: StoredSession;
}

/** All names that the session of an id may have, the newest first. */
export function handlesOf({ names }: Context, id: string): readonly [string, ...string[]] {
  return [names.handleOf(id), ...names.olderHandlesOf(id)];
}

/** Whether a record is of the session of this id. */
export function isOf({ names }: Context, id: string, record: SessionRecord<object>): boolean {
  return record.handle === names.handleOf(id) || names.olderHandlesOf(id).includes(record.handle);
}

/**
 * The live session of an id, whichever of its names it has, for when there was none under the newest. That name is
 * read again with the others: the session may be on its way from there to one of them.
 */
export async function findElsewhere(context: Context, id: string): Promise<Found | null> {
  const handles = handlesOf(context, id);
  return handles.length === 1 ? null : find(context, handles);
}

/** The live session that has one of these names, though others may be moving it from one to the other. */
export async function find(context: Context, handles: readonly string[]): Promise<Found | null> {
  const deadline = deadlineOf(context);
  for (let lastMove = 0; ; ) {
    const read = await Promise.all(handles.map((handle) => readFor(context, handle, handles, deadline)));
    const live = read.find(({ session }) => session !== null);
    if (live?.session) return { handle: live.handle, session: live.session };
    // What was moved between two of these reads is in a place that was read too early.
    const move = Math.max(...read.map(({ movedAt }) => movedAt));
    if (move <= lastMove) return null;
    lastMove = move;
  }
}

async function readFor(context: Context, handle: string, all: readonly string[], deadline: number) {
  const { entries } = context.bucket;
  const key = context.keyStart + handle;
  const entry = await entries.read(key, deadline, (found) => liveSession(context, handle, found) !== null);
  const session = liveSession(context, handle, entry);
  // Whoever writes to the bucket could name any place in a marker.
  const move = moveOf(entry);
  if (!move || !all.includes(move.handle)) return { handle, session, movedAt: 0 };
  await moveTarget(context, handle, entry, deadline);
  return { handle, session, movedAt: move.at };
}

/** Saves the session of an id where it is, and moves it to its newest name. */
export async function saveById<T extends object>(
  context: Context,
  id: string,
  data: T,
  options: SaveOptions<T>,
): Promise<SaveResult<T>> {
  const handles = handlesOf(context, id);
  const [newest, ...older] = handles;
  if (older.length === 0) return saveSession(context, newest, data, options);
  const { record: given } = options;
  if (!given) {
    const result = await saveSession(context, newest, data, options);
    // It replaces what there is under any name.
    await Promise.all(older.map((handle) => endOlder(context, handle)));
    return result;
  }
  const result = await saveWhereItIs(context, handles, data, { ...options, record: given });
  return { ...result, record: await moved(context, newest, given, result.record) };
}

/** Saves on top of a record; under another name where the session was moved since the record was loaded. */
function saveWhereItIs<T extends object>(
  context: Context,
  handles: readonly string[],
  data: T,
  options: SaveOptions<T> & { readonly record: SessionRecord<T> },
): Promise<SaveResult<T>> {
  // What the holder has in hands does not change with the name.
  const source = options.source ?? data;
  return whereItIs(context, handles, options.record, (record) =>
    saveSession(context, record.handle, data, { ...options, source, record }),
  );
}

/** Touches the session of an id where it is, and moves it to its newest name, if the touch is written. */
export async function touchById<T extends object>(
  context: Context,
  id: string,
  given: SessionRecord<T>,
  options: TouchOptions,
): Promise<TouchResult<T>> {
  const handles = handlesOf(context, id);
  const [newest, ...older] = handles;
  if (older.length === 0) return touchSession(context, newest, given, options);
  const result = await whereItIs(context, handles, given, (record) =>
    touchSession(context, record.handle, record, options),
  );
  return { ...result, record: await moved(context, newest, given, result.record) };
}

/** Ends the session of an id under whatever name. */
export async function destroyById(context: Context, id: string): Promise<boolean> {
  const handles = handlesOf(context, id);
  const all = await Promise.all(handles.map((handle) => destroyWhereItIs(context, handle)));
  // A marker put there by force may have taken the place of one that told of a move.
  if (handles.length > 1 && all.some(({ forced }) => forced)) {
    await Promise.all(handles.map((handle, n) => all[n]?.forced || forceMarker(context, handle)));
  }
  return all.some(({ wasLive }) => wasLive);
}

async function whereItIs<T extends object, R extends { readonly record: SessionRecord<T> | null }>(
  context: Context,
  handles: readonly string[],
  given: SessionRecord<T>,
  write: (record: StoredRecord<T>) => Promise<R>,
): Promise<R> {
  let record = StoredRecord.of(given, handles);
  const deadline = deadlineOf(context);
  for (;;) {
    const result = await write(record);
    if (result.record || handles.length === 1) return result;
    const found = await find(context, handles);
    // Begun again under the same id is another session.
    if (found?.session.metadata.createdAt !== record.createdAt) return result;
    // Processes that do not agree on the newest name may move it again and again.
    if (performance.now() > deadline) throw contention();
    record = record.under(found.handle);
  }
}

/** The record after the move, if one was due. */
async function moved<T extends object>(
  context: Context,
  newest: string,
  before: SessionRecord<T>,
  after: SessionRecord<T> | null,
): Promise<SessionRecord<T> | null> {
  if (!after || after.handle === newest || after.revision === before.revision) return after;
  try {
    return await moveSession(context, StoredRecord.of(after, [after.handle]), newest);
  } catch {
    // It is stored, and that was asked for. Where it is now, the next request finds out.
    return after;
  }
}

async function endOlder(context: Context, handle: string): Promise<void> {
  const deadline = deadlineOf(context);
  const entry = await context.bucket.entries.readFromLeader(context.keyStart + handle, deadline);
  await endEntry(context, handle, entry, deadline);
}
