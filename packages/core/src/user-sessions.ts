import { type Context, deadlineOf, liveSession, type StoredSession } from "./context.js";
import { destroySession } from "./destroy.js";
import { isHandle } from "./key.js";
import type { Ownership } from "./record.js";
import { indexKey, putRight, removeIndexEntry } from "./user-index.js";
import type { Entry } from "./wire/index.js";

/** How many sessions are read at a time, and held in memory. */
export const BATCH = 64;

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

/**
 * What stands in the index under a user, in batches, in no particular order: each live session once. One that has
 * left its place may have been given another id meanwhile, so it is looked again until no more have left.
 *
 * @param from whom to ask for the sessions: `"leader"` for who must not take an ended one for live
 */
export async function* indexedSessions(
  context: Context,
  owner: string,
  from: "leader" | "any" = "any",
): AsyncGenerator<Indexed[]> {
  const start = indexKey(context, owner, "");
  const done = new Set<string>();
  const left = new Set<string>();
  for (let mayHaveMoved = true; mayHaveMoved; ) {
    mayHaveMoved = false;
    for await (const keys of context.bucket.entries.keys(`${start}*`, () => deadlineOf(context))) {
      const handles = keys.map((key) => key.slice(start.length));
      const open = handles.filter((handle) => isHandle(handle) && !done.has(handle));
      for (let next = 0; next < open.length; next += BATCH) {
        const batch = await readAll(context, owner, open.slice(next, next + BATCH), from);
        for (const { handle, isStale } of batch) {
          mayHaveMoved ||= isStale && !left.has(handle);
          (isStale ? left : done).add(handle);
        }
        yield batch;
      }
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

/** Ends a user's sessions, but for one perhaps; those that begin meanwhile too. @returns how many it ended */
export async function destroyAllOf(context: Context, owner: string, except?: string): Promise<number> {
  let count = 0;
  for (let haveMoved = true; haveMoved; ) {
    haveMoved = false;
    for await (const batch of indexedSessions(context, owner)) {
      const others = batch.filter(({ handle, session }) => session && handle !== except);
      const ended = await Promise.all(others.map(({ handle }) => destroySession(context, handle, owner)));
      for (const wasLive of ended) if (wasLive) count++;
      // Was it ended by others, or given another id?
      haveMoved ||= ended.includes(false);
    }
  }
  return count;
}

async function readAll(
  context: Context,
  owner: string,
  handles: string[],
  from: "leader" | "any" = "any",
): Promise<Indexed[]> {
  const deadline = deadlineOf(context);
  const indexed = await Promise.all(handles.map((handle) => read(context, owner, handle, deadline, from)));
  const stale = indexed.filter(({ isStale }) => isStale);
  if (stale.length > 0) context.later(() => clean(context, owner, stale));
  return indexed;
}

async function read(
  context: Context,
  owner: string,
  handle: string,
  deadline: number,
  from: "leader" | "any",
): Promise<Indexed> {
  const key = context.keyStart + handle;
  const { entries } = context.bucket;
  const entry =
    from === "leader"
      ? await entries.readFromLeader(key, deadline)
      : await entries.read(key, deadline, (found) => indexed(found).session !== null);
  return indexed(entry);

  function indexed(found: Entry | null): Indexed {
    try {
      const session = liveSession(context, found);
      const ownership = session?.metadata.ownership;
      if (!found || !session || ownership?.owner !== owner) return { handle, session: null, isStale: true };
      const writtenAt = found.writtenAt();
      return { handle, session: { ...session, handle, ownership, writtenAt }, isStale: false };
    } catch {
      // What cannot be read must not hide the others, and may be read again one day.
      return { handle, session: null, isStale: false };
    }
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
    await putRight(context, owner, handle);
  }
}
