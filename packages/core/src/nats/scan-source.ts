import type { Bucket } from "./bucket.js";
import type { ScanSource } from "./scan.js";

/** A bucket that is scanned. */
export interface BucketSource extends ScanSource {
  readonly bucket: Bucket;
}

/**
 * The entries of a bucket whose key matches a pattern, to be scanned.
 * @param deadline makes the deadline of each batch
 */
export function scanSource(bucket: Bucket, pattern: string, deadline: () => number): BucketSource {
  return {
    bucket,
    position: () => bucket.position(deadline()),
    readNext: (sequence) => bucket.entries.readNext(pattern, sequence, deadline()),
    subjects: (offset) => bucket.entries.subjectPage(pattern, offset, deadline()),
    read: (subject) => bucket.entries.readCurrent(bucket.keyOf(subject), deadline()),
  };
}
