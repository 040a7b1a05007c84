import { type Context, deadlineOf, liveSession, type StoredSession } from "./context.js";
import { destroySession } from "./destroy.js";
import { isHandle } from "./key.js";
import type { Ownership } from "./record.js";
import { indexKey, removeIndexEntry } from "./user-index.js";
import type { Entry } from "./wire/index.js";

/** How many sessions are read at a time, and held in memory. */
const BATCH = 64;

/** How old an index entry must be to count as left behind, in timeouts: its session may be on its way. */
const LEFT_BEHIND = 30;

/** A live session of a user. */
export interface OwnedSession extends StoredSession {
  readonly handle: string;
  readonly ownership: Ownership;
  /** When it was written last, by the server's clock, unix ms. */
  readonly writtenAt: number;
}

/** An index entry with its session. */
export interface Indexed {
  readonly handle: string;
  /** `null` where there is none, or none that is this user's any more, or one that cannot be read. */
  readonly session: OwnedSession | null;
  /** Whether the entry points to nothing that is this user's. */
  readonly isStale: boolean;
}

/** What stands in the index under a user, in batches, in no particular order. */
export async function* indexedSessions(context: Context, owner: string): AsyncGenerator<Indexed[]> {
  const start = indexKey(context, owner, "");
  for await (const keys of context.bucket.entries.keys(`${start}*`, () => deadlineOf(context))) {
    const handles = keys.map((key) => key.slice(start.length)).filter(isHandle);
    for (let next = 0; next < handles.length; next += BATCH) {
      yield await readAll(context, owner, handles.slice(next, next + BATCH));
    }
  }
}

/** The live sessions of a user, newest first, in batches. Of many, only the order is held in memory. */
export async function* newestFirst(context: Context, owner: string): AsyncGenerator<OwnedSession[]> {
  const order: { readonly handle: string; readonly createdAt: number }[] = [];
  const firsts: OwnedSession[] = [];
  for await (const batch of indexedSessions(context, owner)) {
    for (const { handle, session } of batch) {
      if (!session) continue;
      order.push({ handle, createdAt: session.metadata.createdAt });
      if (firsts.length < BATCH) firsts.push(session);
    }
  }
  if (order.length === firsts.length) {
    yield firsts.sort((one, other) => other.metadata.createdAt - one.metadata.createdAt);
    return;
  }
  order.sort((one, other) => other.createdAt - one.createdAt);
  for (let next = 0; next < order.length; next += BATCH) {
    const handles = order.slice(next, next + BATCH).map(({ handle }) => handle);
    yield (await readAll(context, owner, handles)).flatMap(({ session }) => session ?? []);
  }
}

/** Ends a user's sessions, but for one perhaps. @returns how many it ended */
export async function destroyAllOf(context: Context, owner: string, except?: string): Promise<number> {
  let count = 0;
  for await (const batch of indexedSessions(context, owner)) {
    const others = batch.filter(({ handle, isStale }) => !isStale && handle !== except);
    const ended = await Promise.all(others.map(({ handle }) => destroySession(context, handle, owner)));
    count += ended.filter((wasLive) => wasLive).length;
  }
  return count;
}

async function readAll(context: Context, owner: string, handles: string[]): Promise<Indexed[]> {
  const deadline = deadlineOf(context);
  const indexed = await Promise.all(handles.map((handle) => read(context, owner, handle, deadline)));
  const stale = indexed.filter(({ isStale }) => isStale);
  if (stale.length > 0) context.later(() => clean(context, owner, stale));
  return indexed;
}

async function read(context: Context, owner: string, handle: string, deadline: number): Promise<Indexed> {
  const key = context.keyStart + handle;
  const entry = await context.bucket.entries.read(key, deadline, (found) => ownedIn(found) !== null);
  try {
    const session = ownedIn(entry);
    return { handle, session, isStale: session === null };
  } catch {
    // What cannot be read must not hide the others, and may be read again one day.
    return { handle, session: null, isStale: false };
  }

  function ownedIn(found: Entry | null): OwnedSession | null {
    const session = liveSession(context, found);
    const ownership = session?.metadata.ownership;
    if (!found || !session || ownership?.owner !== owner) return null;
    return { ...session, handle, ownership, writtenAt: found.writtenAt() };
  }
}

/** Removes index entries that were left behind, by a crash or by sessions that have expired. */
async function clean(context: Context, owner: string, stale: Indexed[]): Promise<void> {
  for (const { handle } of stale) {
    const key = indexKey(context, owner, handle);
    const entry = await context.bucket.entries.readFromLeader(key, deadlineOf(context));
    if (!entry || entry.deleted) continue;
    if (Date.now() - entry.writtenAt() < LEFT_BEHIND * context.options.timeout) continue;
    await removeIndexEntry(context, key, entry.revision);
  }
}
