import { bucketOf } from "../entries/place.js";
import { foundIn, sessionIn } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import { isUnavailable } from "../errors.js";
import { isHandle } from "../format/keys.js";
import type { Entry } from "../nats/replies.js";
import { scan } from "../nats/scan.js";
import { scanSource } from "../nats/scan-source.js";
import type { SessionRecord } from "../types.js";
import { destroySession } from "./destroy.js";
import { recordOf } from "./record.js";

/** An entry that is a session of this store, with its handle. */
interface Listed {
  readonly handle: string;
  readonly entry: Entry;
}

/**
 * All entries of this store in batches, each session once, also one that is written all the time.
 * @param deadline makes the deadline of each batch
 */
async function* listEntries(context: StoreContext, deadline: () => number): AsyncGenerator<Listed[]> {
  const { buckets, sessionKeyStart } = context;
  const sources = buckets.all.map((bucket) => scanSource(bucket, `${sessionKeyStart}*`, deadline));
  for await (const { source, entries } of scan(sources)) {
    const listed: Listed[] = [];
    for (const entry of entries) {
      const handle = source.bucket.keyOf(entry.subject).slice(sessionKeyStart.length);
      const isOwn = isHandle(handle) && bucketOf(buckets, handle) === source.bucket;
      if (!entry.deleted && isOwn) listed.push({ handle, entry });
    }
    if (listed.length > 0) yield listed;
  }
}

/** The handles of the live sessions, from the headers alone. */
export async function* liveHandles(context: StoreContext, deadline: () => number): AsyncGenerator<string[]> {
  for await (const batch of listEntries(context, deadline)) {
    yield batch.filter((listed) => isLiveListed(context, listed)).map(({ handle }) => handle);
  }
}

/** The live sessions; one that cannot be read must not hide the others, and no outage may hide one. */
export async function* liveRecords<T extends object>(
  context: StoreContext,
  deadline: () => number,
): AsyncGenerator<SessionRecord<T>[]> {
  for await (const batch of listEntries(context, deadline)) {
    const end = deadline();
    const records = await Promise.all(
      batch.map(async ({ handle, entry }) => {
        try {
          const session = sessionIn(context, context.sessionKeyStart + handle, foundIn(context, entry));
          return session && (await recordOf<T>(context, handle, session, end));
        } catch (error) {
          if (isUnavailable(error)) throw error;
          return null;
        }
      }),
    );
    yield records.filter((record) => record !== null);
  }
}

function isLiveListed(context: StoreContext, { entry }: Listed): boolean {
  return foundIn(context, entry).isLive;
}

/** How many sessions are live, from the headers alone. */
export async function countLive(context: StoreContext, deadline: () => number): Promise<number> {
  let count = 0;
  for await (const batch of listEntries(context, deadline)) {
    for (const listed of batch) if (isLiveListed(context, listed)) count++;
  }
  return count;
}

/** Ends every session, one by one, so that the feed reports each end. */
export async function clearSessions(context: StoreContext, deadline: () => number): Promise<void> {
  for await (const batch of listEntries(context, deadline)) {
    const end = deadline();
    await Promise.all(batch.map(({ handle }) => destroySession(context, handle, undefined, end)));
  }
}
