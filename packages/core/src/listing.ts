import { type Context, deadlineOf, liveSession, type StoredSession } from "./context.js";
import { destroyEntry } from "./destroy.js";
import { isHandle } from "./key.js";
import { type Entry, walk } from "./wire/index.js";

/** An entry that is a session of this store, with its handle. */
export interface Listed {
  readonly handle: string;
  readonly entry: Entry;
}

/** How often the entries written during a walk are walked after it; each time there are fewer of them. */
const MOST_ROUNDS = 8;

/**
 * All entries of this store in batches, each session once. A write moves an entry to the end of the bucket, so
 * what is written meanwhile is looked for there, until nothing unknown turns up.
 */
export async function* listEntries(context: Context): AsyncGenerator<Listed[]> {
  const { bucket, keyStart } = context;
  const seen = new Set<string>();
  let { first, last } = await bucket.state();
  for (let round = 0; round < MOST_ROUNDS && first <= last; round++) {
    let unknown = 0;
    const readNext = (sequence: number) =>
      bucket.entries.readNext(`${keyStart}*`, sequence, deadlineOf(context));
    for await (const batch of walk(first, last, readNext)) {
      const listed: Listed[] = [];
      for (const entry of batch) {
        const handle = bucket.keyOf(entry.subject).slice(keyStart.length);
        if (entry.deleted || !isHandle(handle) || seen.has(handle)) continue;
        seen.add(handle);
        listed.push({ handle, entry });
      }
      unknown += listed.length;
      if (listed.length > 0) yield listed;
    }
    if (unknown === 0) return;
    first = last + 1;
    last = (await bucket.state()).last;
  }
}

/** The live session of a listed entry; `null` also for one that cannot be read, which must not hide the others. */
export function listedSession(context: Context, { entry }: Listed): StoredSession | null {
  try {
    return liveSession(context, entry);
  } catch {
    return null;
  }
}

/** The live sessions, from the headers alone. */
export async function countLive(context: Context): Promise<number> {
  let count = 0;
  for await (const batch of listEntries(context)) {
    for (const listed of batch) if (listedSession(context, listed)) count++;
  }
  return count;
}

/** Ends every session, one by one, so that each end is told like any other. */
export async function clearSessions(context: Context): Promise<void> {
  for await (const batch of listEntries(context)) {
    await Promise.all(
      batch.map(({ handle, entry }) => destroyEntry(context, handle, entry, deadlineOf(context))),
    );
  }
}
