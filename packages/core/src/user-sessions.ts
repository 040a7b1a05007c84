import { type Context, deadlineOf, liveSession, type StoredSession } from "./context.js";
import { destroySession } from "./destroy.js";
import { isHandle } from "./key.js";
import { moveOf, moveTarget } from "./move.js";
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
  readonly owner: string;
  readonly handle: string;
  /** `null` where there is none, or none that is this user's any more, or one that cannot be read. */
  readonly session: OwnedSession | null;
  /** Whether the entry points to nothing that is this user's. */
  readonly isStale: boolean;
}

/**
 * What stands in the index under the names of a user, in batches, in no particular order: each live session once. One that has
 * left its place may have been given another id meanwhile, so it is looked again until no more have left.
 *
 * @param from whom to ask for the sessions: `"leader"` for who must not take an ended one for live
 */
export async function* indexedSessions(
  context: Context,
  owners: readonly string[],
  from: "leader" | "any" = "any",
): AsyncGenerator<Indexed[]> {
  const done = new Set<string>();
  const left = new Set<string>();
  for (let mayHaveMoved = true; mayHaveMoved; ) {
    mayHaveMoved = false;
    for await (const places of placesOf(context, owners)) {
      const open = places.filter(({ handle }) => !done.has(handle));
      for (let next = 0; next < open.length; next += BATCH) {
        const batch = await readAll(context, owners, open.slice(next, next + BATCH), from);
        for (const { handle, isStale } of batch) {
          mayHaveMoved ||= isStale && !left.has(handle);
          (isStale ? left : done).add(handle);
        }
        yield batch;
      }
    }
  }
}

async function* placesOf(context: Context, owners: readonly string[]): AsyncGenerator<Place[]> {
  for (const owner of owners) {
    const start = indexKey(context, owner, "");
    for await (const keys of context.bucket.entries.keys(`${start}*`, () => deadlineOf(context))) {
      const handles = keys.map((key) => key.slice(start.length));
      yield handles.filter(isHandle).map((handle) => ({ owner, handle }));
    }
  }
}

/** The live sessions of a user, newest first, in batches. Of many, only the order is held in memory. */
export async function* newestFirst(
  context: Context,
  owners: readonly string[],
): AsyncGenerator<OwnedSession[]> {
  const order: (Place & { readonly createdAt: number })[] = [];
  const firsts: OwnedSession[] = [];
  for await (const batch of indexedSessions(context, owners)) {
    for (const { owner, handle, session } of batch) {
      if (!session) continue;
      order.push({ owner, handle, createdAt: session.metadata.createdAt });
      if (firsts.length < BATCH) firsts.push(session);
    }
  }
  if (order.length === firsts.length) {
    yield firsts.sort((one, other) => other.metadata.createdAt - one.metadata.createdAt);
    return;
  }
  order.sort((one, other) => other.createdAt - one.createdAt);
  for (let next = 0; next < order.length; next += BATCH) {
    const batch = await readAll(context, owners, order.slice(next, next + BATCH));
    yield batch.flatMap(({ session }) => session ?? []);
  }
}

/**
 * Ends a user's sessions, but for one perhaps, which is given by the names known of it; those that begin meanwhile
 * too.
 *
 * @returns how many it ended
 */
export async function destroyAllOf(
  context: Context,
  owners: readonly string[],
  except: readonly string[],
): Promise<number> {
  const spared = [...except, ...(await newPlacesOf(context, except))];
  let count = 0;
  for (let haveMoved = true; haveMoved; ) {
    haveMoved = false;
    for await (const batch of indexedSessions(context, owners)) {
      const others = batch.filter(({ handle, session }) => session && !spared.includes(handle));
      const ended = await Promise.all(others.map(({ handle }) => destroySession(context, handle, owners)));
      for (const wasLive of ended) if (wasLive) count++;
      // Was it ended by others, or given another id?
      haveMoved ||= ended.includes(false);
    }
  }
  return count;
}

/** Where sessions were moved to, if they were. */
async function newPlacesOf(context: Context, handles: readonly string[]): Promise<string[]> {
  if (!context.options.encryption) return [];
  const deadline = deadlineOf(context);
  const places = handles.filter(isHandle).map(async (handle) => {
    const entry = await context.bucket.entries.readFromLeader(context.keyStart + handle, deadline);
    return moveTarget(context, handle, entry, deadline);
  });
  return (await Promise.all(places)).flatMap((handle) => handle ?? []);
}

/** Where an index entry is. */
interface Place {
  readonly owner: string;
  readonly handle: string;
}

async function readAll(
  context: Context,
  owners: readonly string[],
  places: Place[],
  from: "leader" | "any" = "any",
): Promise<Indexed[]> {
  const deadline = deadlineOf(context);
  const indexed = await Promise.all(places.map((place) => read(context, owners, place, deadline, from)));
  const stale = indexed.filter(({ isStale }) => isStale);
  if (stale.length > 0) context.later(() => clean(context, owners, stale));
  return indexed;
}

async function read(
  context: Context,
  owners: readonly string[],
  { owner, handle }: Place,
  deadline: number,
  from: "leader" | "any",
): Promise<Indexed> {
  const key = context.keyStart + handle;
  const { entries } = context.bucket;
  const entry =
    from === "leader"
      ? await entries.readFromLeader(key, deadline)
      : await entries.read(key, deadline, (found) => indexed(found).session !== null);
  const result = indexed(entry);
  // It is under its new name then, which is in the index already.
  if (result.isStale && moveOf(entry)?.isUnderWay) await moveTarget(context, handle, entry, deadline);
  return result;

  function indexed(found: Entry | null): Indexed {
    try {
      const session = liveSession(context, handle, found);
      const ownership = session?.metadata.ownership;
      if (!found || !session || !ownership || !owners.includes(ownership.owner)) {
        return { owner, handle, session: null, isStale: true };
      }
      const writtenAt = found.writtenAt();
      return { owner, handle, session: { ...session, handle, ownership, writtenAt }, isStale: false };
    } catch {
      // What cannot be read must not hide the others, and may be read again one day.
      return { owner, handle, session: null, isStale: false };
    }
  }
}

/** Removes index entries that were left behind, by a crash or by sessions that have expired. */
async function clean(context: Context, owners: readonly string[], stale: Indexed[]): Promise<void> {
  for (const place of stale) {
    const { owner, handle } = place;
    const key = indexKey(context, owner, handle);
    const entry = await context.bucket.entries.readFromLeader(key, deadlineOf(context));
    if (!entry || entry.deleted) continue;
    if (Date.now() - entry.writtenAt() < LEFT_BEHIND * context.options.timeout) continue;
    // A move that was broken off may have been brought to its end since.
    if (!(await read(context, owners, place, deadlineOf(context), "leader")).isStale) continue;
    await removeIndexEntry(context, key, entry.revision);
    await putRight(context, owner, handle);
  }
}
