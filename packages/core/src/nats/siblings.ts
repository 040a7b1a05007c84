import { SessionStoreError } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { managementError } from "./api-errors.js";
import { isSameShard, type Shard, shardIn, shardName, shardText } from "./shard.js";
import { find } from "./stream.js";
import type { BucketOptions } from "./stream-config.js";
import { type Subjects, subjectsOf } from "./subjects.js";

/** A bucket of the same name that may be there, and what it has to be where it is. */
interface Sibling {
  readonly name: string;
  /** `undefined` = a bucket of its own. */
  readonly shard?: Shard | undefined;
  /** Whether the store has no such bucket: with its number of shards there can be none. */
  readonly isForeign: boolean;
}

/**
 * Looks for buckets of the same name with another number of shards, before the first bucket of a store is created: the
 * sessions in them would be lost to it without a word. Of such a set one bucket may be missing.
 * @param each the buckets that the store wants
 * @throws `ERR_SESSION_BUCKET_MISMATCH` with both numbers
 */
export function checkSiblings(
  nc: NatsConnectionLike,
  bucket: string,
  each: readonly BucketOptions[],
  deadline: number,
): Promise<void> {
  const others = each.slice(1).map(({ bucket: name, shard }) => ({ name, shard, isForeign: false }));
  const foreign = each.length === 1 ? [0, 1].map((number) => shardName(bucket, number)) : [bucket];
  return check(nc, each, [...others, ...foreign.map((name) => ({ name, isForeign: true }))], deadline);
}

/**
 * Looks whether the first bucket is still one of as many, before another bucket of a store that is open is created
 * again: all of them may have been replaced meanwhile by another number.
 * @throws `ERR_SESSION_BUCKET_MISMATCH` with both numbers
 */
export function checkFirst(
  nc: NatsConnectionLike,
  bucket: string,
  each: readonly BucketOptions[],
  deadline: number,
): Promise<void> {
  return check(nc, each, [{ name: shardName(bucket, 0), shard: each[0]?.shard, isForeign: false }], deadline);
}

async function check(
  nc: NatsConnectionLike,
  each: readonly BucketOptions[],
  siblings: readonly Sibling[],
  deadline: number,
): Promise<void> {
  const wanted = each[0] as BucketOptions;
  await Promise.all(
    siblings.map(async ({ name, shard, isForeign }) => {
      const subjects = subjectsOf({ ...wanted, bucket: name });
      const found = await shardOfBucket(nc, subjects, deadline);
      if (!found) return;
      const isFitting = isForeign
        ? wanted.shard === undefined && found.shard === undefined
        : isSameShard(found.shard, shard);
      if (isFitting) return;
      throw new SessionStoreError(
        "ERR_SESSION_BUCKET_MISMATCH",
        `There is a bucket ${subjects.title}, ${shardText(found.shard)}, but the store has \`shards: ${each.length}\`. Use that number, or give the new buckets another name and move the sessions.`,
      );
    }),
  );
}

/** @returns `undefined` where there is no such bucket, or the account may not ask */
async function shardOfBucket(
  nc: NatsConnectionLike,
  subjects: Subjects,
  deadline: number,
): Promise<{ readonly shard: Shard | undefined } | undefined> {
  try {
    const config = (await find(nc, subjects, deadline))?.config;
    return config && { shard: shardIn(config.metadata) };
  } catch (cause) {
    const error = managementError(cause, subjects);
    if (error instanceof SessionStoreError && error.code === "ERR_SESSION_PERMISSION") return undefined;
    throw error;
  }
}
