import { hash } from "node:crypto";
import { DigestSet } from "../util/digest-set.js";
import type { Entry } from "./replies.js";

/** How many reads are under way at a time, and so the size of a batch. */
const CURSORS = 64;

/** A part of the bucket's sequence numbers that is still to be read, both ends included. */
interface Range {
  next: number;
  end: number;
}

/** Reads the first entry at or after a sequence number. */
export type ReadNext = (sequence: number) => Promise<Entry | null>;

/** A bucket that a scan reads. */
export interface ScanSource {
  /** Where the bucket begins and ends now. */
  readonly position: () => Promise<{ readonly first: number; readonly last: number }>;
  readonly readNext: ReadNext;
  /** A page of the subjects of all entries. */
  readonly subjects: (offset: number) => Promise<{ readonly subjects: string[]; readonly total: number }>;
  /** The entry of a subject. */
  readonly read: (subject: string) => Promise<Entry | null>;
}

/** Entries that a scan met, and where. */
export interface ScanBatch<S> {
  readonly source: S;
  readonly entries: readonly Entry[];
}

/**
 * Reads all entries of some buckets in batches, each key once, with many single reads at a time: it needs no consumer
 * on the server, works on every server version and holds one batch in memory.
 *
 * The entries are read by their numbers, bucket by bucket. A write moves an entry to the end of its bucket, perhaps
 * faster than it can be met there, and a rotation moves a session to a bucket that was read already. So where anything
 * was written meanwhile, the entries that were not met are read by their subjects, once all buckets were read.
 */
export async function* scan<S extends ScanSource>(sources: readonly S[]): AsyncGenerator<ScanBatch<S>> {
  const seen = new DigestSet();
  const isNew = (subject: string) => seen.add(hash("sha256", subject, "base64url"));
  const ends = new Map<S, number>();
  for (const source of sources) {
    const { first, last } = await source.position();
    ends.set(source, last);
    for await (const batch of scanBetween(first, last, source.readNext)) {
      yield { source, entries: batch.filter(({ subject }) => isNew(subject)) };
    }
  }
  for (const [source, end] of ends) {
    if ((await source.position()).last === end) continue;
    for await (const entries of scanSubjects(source, isNew)) yield { source, entries };
  }
}

/** Reads the entries whose subject was not met. */
async function* scanSubjects(
  { subjects, read }: ScanSource,
  isNew: (subject: string) => boolean,
): AsyncGenerator<Entry[]> {
  for (let offset = 0, total = 1; offset < total; ) {
    const page = await subjects(offset);
    const unmet = page.subjects.filter(isNew);
    for (let next = 0; next < unmet.length; next += CURSORS) {
      const batch = await Promise.all(unmet.slice(next, next + CURSORS).map(read));
      yield batch.filter((entry) => entry !== null);
    }
    offset += page.subjects.length;
    total = page.subjects.length === 0 ? 0 : page.total;
  }
}

/** A cursor that has finished its part takes half of the longest one left. */
async function* scanBetween(first: number, last: number, readNext: ReadNext): AsyncGenerator<Entry[]> {
  let ranges: Range[] = first > last ? [] : [{ next: first, end: last }];
  while (ranges.length > 0) {
    split(ranges);
    const batch: Entry[] = [];
    await Promise.all(
      ranges.map(async (range) => {
        const entry = await readNext(range.next);
        if (entry) batch.push(entry);
        range.next = (entry?.revision ?? range.end) + 1;
      }),
    );
    if (batch.length > 0) yield batch;
    ranges = ranges.filter(({ next, end }) => next <= end);
  }
}

/**
 * Reads all entries at or after a number, in order and in batches: each batch reads from as many numbers in a row;
 * the scan ends where nothing follows.
 */
export async function* scanToEnd(start: number, readNext: ReadNext): AsyncGenerator<Entry[]> {
  for (let next = start, width = 1; ; width = CURSORS) {
    const found = await Promise.all(Array.from({ length: width }, (_, n) => readNext(next + n)));
    const end = found.indexOf(null);
    const batch = (end === -1 ? found : found.slice(0, end)) as Entry[];
    if (batch.length === 0) return;
    yield batch;
    next = Math.max(...batch.map(({ revision }) => revision)) + 1;
  }
}

/** Halves the longest ranges until there are enough of them, or they are too short to be worth it. */
function split(ranges: Range[]): void {
  while (ranges.length < CURSORS) {
    const longest = ranges.reduce((a, b) => (b.end - b.next > a.end - a.next ? b : a));
    if (longest.end - longest.next < 2) return;
    const middle = Math.floor((longest.next + longest.end) / 2);
    ranges.push({ next: middle + 1, end: longest.end });
    longest.end = middle;
  }
}
