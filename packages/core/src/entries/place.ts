import type { Context } from "../context.js";
import { shardOf } from "../format/shards.js";
import type { Bucket } from "../nats/bucket.js";
import type { Buckets } from "../nats/buckets.js";
import type { Entries } from "../nats/entries.js";

/** Where an entry lies. */
export interface Place {
  readonly entries: Entries;
  readonly key: string;
}

/** The bucket of a session by its handle, or of a user's index entry by the user's hash. */
export function bucketOf(buckets: Buckets, hash: string): Bucket {
  return buckets.at(shardOf(hash, buckets.count));
}

/** Where the session of a handle lies: decided here and nowhere else. */
export function sessionPlace({ buckets, sessionKeyStart }: Context, handle: string): Place {
  return { entries: bucketOf(buckets, handle).entries, key: sessionKeyStart + handle };
}

/** Where the index entry of a user lies. */
export function indexPlace({ buckets, indexKeyStart }: Context, userHash: string): Place {
  return { entries: bucketOf(buckets, userHash).entries, key: indexKeyStart + userHash };
}
