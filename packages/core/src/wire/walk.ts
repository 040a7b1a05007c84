import type { Entry } from "./reply.js";

/** How many reads are under way at a time, and so the size of a batch. */
const CURSORS = 64;

/** A part of the bucket's sequence numbers that is still to be read, both ends included. */
interface Range {
  next: number;
  end: number;
}

/**
 * Reads all entries between two sequence numbers in batches, with many single reads at a time: it needs no
 * consumer on the server, works on every server version and holds one batch in memory. Whoever has finished
 * their part takes half of the longest one left.
 *
 * @param readNext the first entry at or after a sequence number
 */
export async function* walk(
  first: number,
  last: number,
  readNext: (sequence: number) => Promise<Entry | null>,
): AsyncGenerator<Entry[]> {
  let ranges: Range[] = first > last ? [] : [{ next: first, end: last }];
  while (ranges.length > 0) {
    split(ranges);
    const batch: Entry[] = [];
    await Promise.all(
      ranges.map(async (range) => {
        const entry = await readNext(range.next);
        if (entry && entry.revision <= range.end) batch.push(entry);
        range.next = (entry?.revision ?? range.end) + 1;
      }),
    );
    if (batch.length > 0) yield batch;
    ranges = ranges.filter(({ next, end }) => next <= end);
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
