import { type Context, deadlineOf, liveMetadata, liveSession, type StoredSession } from "./context.js";
import { destroyEntry } from "./destroy.js";
import { isHandle } from "./key.js";
import { moveOf } from "./move.js";
import { type Entry, walk } from "./wire/index.js";

/** An entry that is a session of this store, with its handle. */
export interface Listed {
  readonly handle: string;
  readonly entry: Entry;
}

/**
 * All entries of this store in batches, each session once, also one that is written all the time. What is on its
 * way to another name is among them, as a marker.
 */
export async function* listEntries(context: Context): AsyncGenerator<Listed[]> {
  const { bucket, keyStart } = context;
  const { first, last } = await bucket.state();
  const readNext = (sequence: number) =>
    bucket.entries.readNext(`${keyStart}*`, sequence, deadlineOf(context));
  const seen = new Set<string>();
  for await (const batch of walk(first, last, readNext)) {
    const listed: Listed[] = [];
    for (const entry of batch) {
      const handle = bucket.keyOf(entry.subject).slice(keyStart.length);
      if ((entry.deleted && !moveOf(entry)?.isUnderWay) || !isHandle(handle) || seen.has(handle)) continue;
      seen.add(handle);
      listed.push({ handle, entry });
    }
    if (listed.length > 0) yield listed;
  }
}

/** The live session of a listed entry; `null` also for one that cannot be read, which must not hide the others. */
export function listedSession(context: Context, { handle, entry }: Listed): StoredSession | null {
  try {
    return liveSession(context, handle, entry);
  } catch {
    return null;
  }
}

/** Whether a listed entry is a live session, from its headers alone. */
export function isLiveListed(context: Context, { entry }: Listed): boolean {
  try {
    return liveMetadata(context, entry) !== null;
  } catch {
    return false;
  }
}

/** The live sessions, from the headers alone. */
export async function countLive(context: Context): Promise<number> {
  let count = 0;
  for await (const batch of listEntries(context)) {
    for (const listed of batch) if (isLiveListed(context, listed)) count++;
  }
  return count;
}

/** Ends every session, one by one, so that each end is told like any other. */
export async function clearSessions(context: Context): Promise<void> {
  for await (const batch of listEntries(context)) {
    await Promise.all(batch.map(({ handle, entry }) => destroyEntry(context, handle, entry)));
  }
}
