import { shardOf } from "../../packages/core/src/format/shards.js";
import { shardName } from "../../packages/core/src/nats/shard.js";

/** The names of the buckets of a store, by number. */
export function bucketsOf(bucket: string, shards = 1): readonly string[] {
  return shards === 1 ? [bucket] : Array.from({ length: shards }, (_, shard) => shardName(bucket, shard));
}

/** The bucket that holds a session, by its handle, or the index entry of a user, by the user's hash. */
export function bucketOf(bucket: string, hash: string, shards = 1): string {
  return bucketsOf(bucket, shards)[shardOf(hash, shards)] as string;
}

/** The first `count` ids of which the session lies in the bucket of this number. */
export function idsIn(
  store: { handleOf(id: string): string },
  shard: number,
  shards: number,
  count: number,
): string[] {
  const ids: string[] = [];
  for (let n = 0; ids.length < count; n++) {
    if (shardOf(store.handleOf(`id ${n}`), shards) === shard) ids.push(`id ${n}`);
  }
  return ids;
}

/** Whether a message to this subject writes a session, in any bucket, of a store without a prefix. */
export function isSessionWrite(subject: string): boolean {
  return /^\$KV\.[^.]+\.s\./.test(subject);
}

/** Changes in the order in which they came, for each bucket: only there do their revisions have an order. */
export function byBucket<C extends { readonly handle: string }>(
  changes: readonly C[],
  shards = 1,
): readonly (readonly C[])[] {
  return Array.from({ length: shards }, (_, shard) =>
    changes.filter(({ handle }) => shardOf(handle, shards) === shard),
  );
}
