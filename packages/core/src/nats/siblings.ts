import { SessionStoreError } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { managementError } from "./api-errors.js";
import { isSameShard, type Shard, shardIn, shardName, shardText } from "./shard.js";
import { find } from "./stream.js";
import type { BucketOptions } from "./stream-config.js";
import { type Subjects, subjectsOf } from "./subjects.js";

/**
 * Looks for buckets of the same name with another number of shards, before the first bucket of a store is created: the
 * sessions in them would be lost to it without a word.
 * @param each the buckets that the store wants
 * @throws `ERR_SESSION_BUCKET_MISMATCH` with both numbers
 */
export async function checkSiblings(
  nc: NatsConnectionLike,
  bucket: string,
  each: readonly BucketOptions[],
  deadline: number,
): Promise<void> {
  const isSole = each.length === 1;
  const others = each.slice(1).map(({ bucket: name, shard }) => ({ name, shard }));
  const otherForm = { name: isSole ? shardName(bucket, 0) : bucket, shard: undefined };
  const found = await Promise.all(
    [...others, otherForm].map(({ name }) =>
      shardOfBucket(nc, subjectsOf({ ...(each[0] as BucketOptions), bucket: name }), deadline),
    ),
  );
  const wanted = each[0]?.shard;
  for (const [n, stream] of found.entries()) {
    if (!stream) continue;
    const isFitting =
      n < others.length ? isSameShard(stream.shard, others[n]?.shard) : isSole && !stream.shard;
    if (isFitting) continue;
    const name = n < others.length ? others[n]?.name : otherForm.name;
    throw new SessionStoreError(
      "ERR_SESSION_BUCKET_MISMATCH",
      `There is a bucket "${name}", ${shardText(stream.shard)}, but the store has ${shardsText(wanted)}. Use that number, or give the new buckets another name and move the sessions.`,
    );
  }
}

function shardsText(shard: Shard | undefined): string {
  return `\`shards: ${shard?.count ?? 1}\``;
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
