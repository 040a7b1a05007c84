import { isDeepStrictEqual } from "node:util";
import type { StreamConfig } from "@nats-io/jetstream";
import type { NatsConnectionLike } from "../types.js";
import { managementError } from "./api-errors.js";
import { find, traitsOf } from "./stream.js";
import {
  type BucketOptions,
  type Difference,
  differences,
  fixedConfig,
  newBucketConfig,
} from "./stream-config.js";
import type { Subjects } from "./subjects.js";

/** A setting of the bucket's stream that would be changed. */
export interface SettingChange {
  readonly field: string;
  /** `undefined` = not set. */
  readonly from: unknown;
  readonly to: unknown;
}

/** What opening the bucket with `createBucket` and `updateBucket` would do. */
export interface BucketPlan {
  readonly exists: boolean;
  /** What the stream's configuration is, or would be in a new bucket. */
  readonly config: { readonly [field: string]: unknown };
  /** In what the existing bucket differs from what is wanted. */
  readonly differences: readonly Difference[];
  /** Whether the bucket lacks the change feed although it is wanted. */
  readonly lacksFeed: boolean;
  /** Every setting that an update would change. */
  readonly changes: readonly SettingChange[];
}

/** Compares the bucket with what the store wants, and changes nothing. */
export async function planBucket(
  nc: NatsConnectionLike,
  options: BucketOptions,
  subjects: Subjects,
  deadline: number,
): Promise<BucketPlan> {
  const server = traitsOf(nc);
  const stream = await find(nc, subjects, deadline).catch((error) => {
    throw managementError(error, subjects);
  });
  if (!stream) {
    const config = newBucketConfig(options, subjects, server);
    return { exists: false, config: { ...config }, differences: [], lacksFeed: false, changes: [] };
  }
  const { config: found, isClustered } = stream;
  const list = differences(found, options, subjects, server.ttls, isClustered);
  const lacksFeed = !found.republish && options.republish;
  const changes =
    list.length > 0 || lacksFeed ? changesIn(found, fixedConfig(found, list, options, subjects, server)) : [];
  return { exists: true, config: { ...found }, differences: list, lacksFeed, changes };
}

function changesIn(found: StreamConfig, wanted: Partial<StreamConfig>): SettingChange[] {
  const before: { readonly [field: string]: unknown } = { ...found };
  return Object.entries(wanted)
    .filter(([field, value]) => !isDeepStrictEqual(before[field], value))
    .map(([field, value]) => ({ field, from: before[field], to: value }));
}
