import type { Entry } from "./reply.js";

/** How many reads are under way at a time, and so the size of a batch. */
const CURSORS = 64;

/** A part of the bucket's sequence numbers that is still to be read, both ends included. */
interface Range {
  next: number;
  end: number;
}

/** Reads the first entry at or after a sequence number. */
export type ReadNext = (sequence: number) => Promise<Entry | null>;

/**
 * Reads all entries in batches, with many single reads at a time: it needs no consumer on the server, works on
 * every server version and holds one batch in memory.
 *
 * A write moves an entry to the end of the bucket. So first the part between the given numbers is read, in any
 * order, and then what has come after it, in order, until there is no more: an entry that moves on is always
 * ahead of whoever reads in order. An entry that moves may be met more than once.
 */
export async function* walk(first: number, last: number, readNext: ReadNext): AsyncGenerator<Entry[]> {
  yield* walkBetween(first, last, readNext);
  yield* walkToEnd(last + 1, readNext);
}

/** Whoever has finished their part takes half of the longest one left. */
async function* walkBetween(first: number, last: number, readNext: ReadNext): AsyncGenerator<Entry[]> {
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
 * Reads all that comes at or after a number, in batches: from as many numbers in a row at a time; the first that has
 * nothing after it is where to go on.
 */
export async function* walkToEnd(start: number, readNext: ReadNext): AsyncGenerator<Entry[]> {
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
