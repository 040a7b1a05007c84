import { bucketOf } from "../entries/place.js";
import type { StoreContext } from "../entries/store-context.js";
import type { Bucket } from "../nats/bucket.js";
import { scan } from "../nats/scan.js";
import { scanSource } from "../nats/scan-source.js";
import { BATCH, examine, membersOf } from "../operations/user-sessions.js";
import { type EntryInfo, infoOf } from "./entry-info.js";

/**
 * All entries in batches, each key once, also one that is written all the time.
 * @param pattern of the keys; `>` for all
 * @param deadline makes the deadline of each batch
 */
export async function* scanEntries(
  context: StoreContext,
  pattern: string,
  deadline: () => number,
): AsyncGenerator<EntryInfo[]> {
  const sources = context.buckets.all.map((bucket) => scanSource(bucket, pattern, deadline));
  for await (const { source, entries } of scan(sources)) {
    yield entries.map((entry) => infoOf(context, source.bucket, source.bucket.keyOf(entry.subject), entry));
  }
}

/** The entries next to numbers from all over the buckets: one at random from each of as many equal parts. */
export async function sampleEntries(
  context: StoreContext,
  size: number,
  deadline: number,
): Promise<EntryInfo[]> {
  const { all } = context.buckets;
  const share = Math.ceil(size / all.length);
  const samples = await Promise.all(all.map((bucket) => sampleBucket(context, bucket, share, deadline)));
  return samples.flat();
}

async function sampleBucket(
  context: StoreContext,
  bucket: Bucket,
  size: number,
  deadline: number,
): Promise<EntryInfo[]> {
  const { first, last } = await bucket.position(deadline);
  const count = Math.min(size, last - first + 1);
  const part = (last - first + 1) / count;
  const infos = new Map<number, EntryInfo>();
  // Equal steps could meet every entry of one kind: sessions and index entries take turns.
  const numbers = Array.from({ length: count }, (_, n) => first + Math.floor((n + Math.random()) * part));
  for (let next = 0; next < numbers.length; next += BATCH) {
    const batch = numbers.slice(next, next + BATCH);
    const found = await Promise.all(batch.map((number) => bucket.entries.readNext(">", number, deadline)));
    for (const entry of found) {
      if (entry) infos.set(entry.revision, infoOf(context, bucket, bucket.keyOf(entry.subject), entry));
    }
  }
  return [...infos.values()];
}

/** The live sessions of a user in batches, in the order of sign-in. */
export async function* scanUser(
  context: StoreContext,
  user: string,
  deadline: () => number,
): AsyncGenerator<EntryInfo[]> {
  const hashes = context.users.all(user);
  const members = await membersOf(context, hashes, deadline());
  const met = new Set<string>();
  for (let next = 0; next < members.length; next += BATCH) {
    const batch = await examine(context, hashes, members.slice(next, next + BATCH), deadline(), "find");
    const infos: EntryInfo[] = [];
    for (const { session } of batch) {
      const entry = session?.found.entry;
      if (!session || !entry || met.has(session.handle)) continue;
      met.add(session.handle);
      const bucket = bucketOf(context.buckets, session.handle);
      infos.push(infoOf(context, bucket, context.sessionKeyStart + session.handle, entry));
    }
    yield infos;
  }
}
