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
 * Looks for buckets of the same name with another number of shards before a bucket is created: the sessions in them
 * would be lost to the store without a word. The first bucket decides for all, so before it is created all others are
 * looked at, of which one may be missing. Before another one is created it is the first: all of them may have been
 * replaced by another number while the store was open.
 * @param each the buckets that the store wants
 * @param number which of them is to be created
 * @throws `ERR_SESSION_BUCKET_MISMATCH` with both numbers
 */
export function checkSiblings(
  nc: NatsConnectionLike,
  bucket: string,
  each: readonly BucketOptions[],
  number: number,
  deadline: number,
): Promise<void> {
  const own = each.map(({ bucket: name, shard }) => ({ name, shard, isForeign: false }));
  if (number > 0) return check(nc, each, own.slice(0, 1), deadline);
  const foreign = each.length === 1 ? [0, 1].map((shard) => shardName(bucket, shard)) : [bucket];
  return check(nc, each, [...own.slice(1), ...foreign.map((name) => ({ name, isForeign: true }))], deadline);
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
