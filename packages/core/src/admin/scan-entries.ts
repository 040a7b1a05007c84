import { bucketOf } from "../entries/place.js";
import type { StoreContext } from "../entries/store-context.js";
import type { Bucket } from "../nats/bucket.js";
import { scan, scanToEnd } from "../nats/scan.js";
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

/** At most so many numbers are tried for each entry that is wanted: of a bucket in use most are of overwritten entries. */
const MOST_TRIES = 8;

/** Entries from all over the buckets, each with the same chance. */
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

/**
 * Tries numbers at random, one from each of as many equal parts, and takes the entries that have exactly such a
 * number. Taking the next entry where a number is free would prefer those after long gaps, which were not overwritten
 * for long; it is done only where nothing else was met.
 */
async function sampleBucket(
  context: StoreContext,
  bucket: Bucket,
  size: number,
  deadline: number,
): Promise<EntryInfo[]> {
  const { first, last, entries: stored } = await bucket.position(deadline);
  const range = last - first + 1;
  const wanted = Math.ceil(size * (range / Math.max(1, stored)));
  const tries = Math.min(range, wanted, MOST_TRIES * size);
  const part = range / tries;
  const exact = new Map<number, EntryInfo>();
  const next = new Map<number, EntryInfo>();
  // Equal steps could meet every entry of one kind: sessions and index entries take turns.
  const numbers = Array.from({ length: tries }, (_, n) => first + Math.floor((n + Math.random()) * part));
  for (let at = 0; at < numbers.length; at += BATCH) {
    const batch = numbers.slice(at, at + BATCH);
    const found = await Promise.all(batch.map((number) => bucket.entries.readNext(">", number, deadline)));
    for (const [n, entry] of found.entries()) {
      if (!entry) continue;
      const infos = entry.revision === batch[n] ? exact : next;
      infos.set(entry.revision, infoOf(context, bucket, bucket.keyOf(entry.subject), entry));
    }
  }
  return [...(exact.size > 0 ? exact : next).values()];
}

/** The entries that were written last to a bucket, newest first; at most as many as there are numbers. */
export async function newestEntries(
  context: StoreContext,
  bucket: Bucket,
  size: number,
  deadline: () => number,
): Promise<EntryInfo[]> {
  const { first, last } = await bucket.position(deadline());
  const infos = new Map<number, EntryInfo>();
  const from = Math.max(first, last - size + 1);
  for await (const batch of scanToEnd(from, (number) => bucket.entries.readNext(">", number, deadline()))) {
    for (const entry of batch) {
      if (entry.revision > last) return newestFirst(infos);
      infos.set(entry.revision, infoOf(context, bucket, bucket.keyOf(entry.subject), entry));
    }
  }
  return newestFirst(infos);
}

function newestFirst(infos: ReadonlyMap<number, EntryInfo>): EntryInfo[] {
  return [...infos.values()].sort((one, other) => other.revision - one.revision);
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
