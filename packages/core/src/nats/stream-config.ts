import type { StoreCompression, StreamConfig } from "@nats-io/jetstream";
import { isSameShard, type Shard, shardIn, shardMetadata, shardText } from "./shard.js";
import type { ApiOptions, Subjects } from "./subjects.js";

const DAY = 86_400_000;

/** How long the tombstones stay that the server writes when an entry expires: 10 min, in ns. */
const EXPIRY_TOMBSTONE_TTL = 600e9;

/**
 * Longest time to live of a session where none is given, in ms. With a TTL for each message: 400 days, the longest
 * life that browsers give a cookie (RFC 6265bis). Without, the bucket keeps everything for as long: 30 days.
 */
const MAX_TTL = { withMessageTtl: 400 * DAY, without: 30 * DAY } as const;

/** Longest age that fits a stream's configuration, in ns of 63 bits. */
const LONGEST_AGE = 9e18;

/** What of a server decides how a new bucket is made. */
export interface ServerTraits {
  /** It keeps a TTL for each message (2.11 and later). */
  readonly ttls: boolean;
  /** The JetStream domain that it belongs to. */
  readonly domain: string | undefined;
}

/** Which servers may hold a bucket. */
interface Placement {
  readonly cluster?: string | undefined;
  readonly tags?: readonly string[] | undefined;
}

/** What the store was asked to make of the bucket. */
export interface BucketOptions extends ApiOptions {
  readonly bucket: string;
  /** Which of several buckets it is; `undefined` = a bucket of its own. */
  readonly shard?: Shard | undefined;
  /** `undefined` where it was left open. */
  readonly maxTtl: number | undefined;
  readonly timeout: number;
  readonly maxLeaderSilence: number;
  readonly createBucket: boolean;
  readonly updateBucket: boolean;
  /** Whether a new bucket republishes its writes. */
  readonly republish: boolean;
  /** `undefined` where it was left open. */
  readonly asked: {
    readonly replicas: number | undefined;
    readonly storage: "file" | "memory" | undefined;
    readonly maxBytes: number | undefined;
    readonly compression: boolean | undefined;
    readonly placement: Placement | undefined;
    readonly persist: "sync" | "async" | undefined;
  };
}

/** One thing in which a bucket is not what the store needs or was asked for. */
export interface Difference {
  readonly field: keyof StreamConfig;
  readonly found: unknown;
  readonly wanted: unknown;
  readonly why: string;
  /** Whether the server can change it in a bucket that exists. */
  readonly fixable: boolean;
  /** Whether the store works without it: it is changed with `updateBucket`, and never an error. */
  readonly optional: boolean;
}

/** The configuration of a new bucket. */
export function newBucketConfig(
  options: BucketOptions,
  subjects: Subjects,
  { ttls, domain }: ServerTraits,
): Partial<StreamConfig> {
  const { asked } = options;
  return {
    name: subjects.stream,
    subjects: [subjects.all],
    description: "Sessions",
    retention: "limits" as StreamConfig["retention"],
    max_msgs_per_subject: 1,
    max_age: maxAgeFor(options.maxTtl ?? defaultMaxTtl(ttls), ttls),
    allow_direct: true,
    discard: "new" as StreamConfig["discard"],
    ...(ttls ? messageTtl : {}),
    storage: (asked.storage ?? "file") as StreamConfig["storage"],
    num_replicas: asked.replicas ?? 1,
    max_bytes: asked.maxBytes ?? -1,
    ...(asked.compression ? { compression: "s2" as StoreCompression } : {}),
    ...(asked.placement ? { placement: asked.placement as StreamConfig["placement"] & object } : {}),
    ...(asked.persist === "async" ? { persist_mode: "async" } : {}),
    ...(options.republish ? { republish: republish(subjects, domain) } : {}),
    ...(options.shard ? { metadata: shardMetadata(options.shard) } : {}),
    // A purge or a deletion of messages would end sessions unknown to the feed and to near caches. Servers that write
    // tombstones for expiries take these three back; there the feed notices a purge by the bucket's first number.
    allow_rollup_hdrs: false,
    deny_delete: true,
    deny_purge: true,
  };
}

/** The longest time to live that a store with these options may give a session in this bucket, in ms. */
export function maxTtlIn(found: StreamConfig, { maxTtl }: BucketOptions): number {
  if (maxTtl !== undefined) return maxTtl;
  const wanted = defaultMaxTtl(found.allow_msg_ttl === true);
  return found.max_age > 0 ? Math.min(wanted, Math.floor(found.max_age / 1e6)) : wanted;
}

/**
 * In what an existing bucket differs from what sessions need and from what the caller asked for.
 * @param isClustered whether the bucket lies in a cluster
 */
export function differences(
  found: StreamConfig,
  options: BucketOptions,
  subjects: Subjects,
  serverHasTtls = found.allow_msg_ttl === true,
  isClustered = true,
): Difference[] {
  const { asked } = options;
  const ttls = found.allow_msg_ttl === true;
  const list: Difference[] = [];
  const differs = (field: keyof StreamConfig, want: unknown, why: string, fixable = true, optional = false) =>
    list.push({ field, found: found[field], wanted: want, why, fixable, optional });

  if (!found.subjects?.includes(subjects.all)) {
    differs("subjects", [subjects.all], "the stream must hold the bucket's keys", false);
  }
  const shard = shardIn(found.metadata);
  if (!isSameShard(shard, options.shard)) {
    list.push({
      field: "metadata",
      found: shardText(shard),
      wanted: shardText(options.shard),
      why: "the number of shards decides where each session lies",
      fixable: false,
      optional: false,
    });
  }
  if (found.retention !== "limits")
    differs("retention", "limits", "entries must stay after they are read", false);
  if (found.sealed) differs("sealed", false, "a sealed stream takes no writes", false);
  if (found.max_msgs_per_subject !== 1) {
    differs("max_msgs_per_subject", 1, "sessions need history 1: older revisions would outlive a sign-out");
  }
  if (!found.allow_direct) differs("allow_direct", true, "sessions are read by direct get");
  if (serverHasTtls && !ttls) {
    const why = "with a TTL per message the server removes each session in time";
    differs("allow_msg_ttl", true, why, true, true);
  }
  // A bucket that was made on an older server denies purges for good, and the server does not let it have both.
  if (serverHasTtls && !found.subject_delete_marker_ttl && !found.deny_purge) {
    const wanted = messageTtl.subject_delete_marker_ttl;
    differs("subject_delete_marker_ttl", wanted, "the feed needs it for expiries", true, true);
  }
  // Entries that the bucket drops before their time would be lost logins; a bucket that never drops any would,
  // without a TTL per message, keep every session for ever.
  const wanted = maxAgeFor(maxTtlIn(found, options), serverHasTtls);
  const isEnough = found.max_age === 0 ? ttls : found.max_age >= Math.round(maxTtlIn(found, options) * 1e6);
  if (!isEnough) {
    const why =
      found.max_age === 0
        ? "without a TTL (ns) the bucket would keep every session for ever"
        : "the bucket's TTL (ns) must cover `maxTtl`";
    differs("max_age", wanted, why);
  }
  if (found.max_bytes > 0 && found.discard !== "new") {
    differs("discard", "new", "a full bucket must refuse new sessions rather than drop live ones");
  }
  if (asked.replicas !== undefined && found.num_replicas !== asked.replicas) {
    // A server alone accepts more than one, and then cannot open the bucket when it starts again (error 10074).
    const isPossible = isClustered || asked.replicas === 1;
    const why = `asked for by \`replicas\`${isPossible ? "" : ", which needs a cluster"}`;
    differs("num_replicas", asked.replicas, why, isPossible);
  }
  if (asked.storage !== undefined && found.storage !== asked.storage) {
    differs("storage", asked.storage, "asked for by `storage`", false);
  }
  if (asked.maxBytes !== undefined && found.max_bytes !== asked.maxBytes) {
    differs("max_bytes", asked.maxBytes, "asked for by `maxBytes`");
  }
  const compressed = found.compression === ("s2" as StoreCompression);
  if (asked.compression !== undefined && compressed !== asked.compression) {
    differs("compression", asked.compression ? "s2" : "none", "asked for by `compression`");
  }
  if (asked.placement !== undefined && !samePlacement(found.placement, asked.placement)) {
    differs("placement", asked.placement, "asked for by `placement`");
  }
  const persist = (found as { persist_mode?: string }).persist_mode === "async" ? "async" : "sync";
  if (asked.persist !== undefined && persist !== asked.persist) {
    differs("persist_mode" as keyof StreamConfig, asked.persist, "asked for by `persist`", false);
  }
  return list;
}

/** An existing bucket's configuration with the differences fixed, and with the change feed where it is wanted. */
export function fixedConfig(
  found: StreamConfig,
  list: Difference[],
  options: BucketOptions,
  subjects: Subjects,
  { domain }: ServerTraits,
): Partial<StreamConfig> {
  const config = { ...found, ...Object.fromEntries(list.map(({ field, wanted }) => [field, wanted])) };
  if (options.republish) config.republish ??= republish(subjects, domain);
  // The server refuses a window for duplicates that is longer than entries live.
  if (config.max_age > 0) config.duplicate_window = Math.min(config.duplicate_window, config.max_age);
  return config;
}

/** The expiry tombstones stay long enough for a feed that was cut off to learn of expiries when it is back. */
const messageTtl = { allow_msg_ttl: true, subject_delete_marker_ttl: EXPIRY_TOMBSTONE_TTL };

function defaultMaxTtl(ttls: boolean): number {
  return ttls ? MAX_TTL.withMessageTtl : MAX_TTL.without;
}

/** The bucket's own TTL in ns. Where entries have their own, it leaves room for index entries, which outlive sessions. */
function maxAgeFor(maxTtl: number, ttls: boolean): number {
  return Math.min(Math.round((ttls ? 2 * maxTtl + DAY : maxTtl) * 1e6), LONGEST_AGE);
}

function republish(
  subjects: Subjects,
  serverDomain: string | undefined,
): NonNullable<StreamConfig["republish"]> {
  return { src: subjects.all, dest: subjects.changes(serverDomain), headers_only: true };
}

function samePlacement(found: StreamConfig["placement"], asked: Placement): boolean {
  const sorted = (tags: readonly string[] | undefined) => [...(tags ?? [])].sort().join();
  return (
    (asked.cluster === undefined || found?.cluster === asked.cluster) &&
    (asked.tags === undefined || sorted(found?.tags) === sorted(asked.tags))
  );
}
