import type { StoreCompression, StreamConfig } from "@nats-io/jetstream";
import type { ResolvedOptions } from "../options.js";
import type { Subjects } from "./subjects.js";

/** Life of the markers that the server leaves when an entry expires: 10 min, in ns. */
const MARKER_TTL = 600e9;

/** One thing in which a bucket is not what the store needs or was asked for. */
export interface Difference {
  readonly field: keyof StreamConfig;
  readonly found: unknown;
  readonly wanted: unknown;
  readonly why: string;
  /** Whether the server can change it in a bucket that exists. */
  readonly mendable: boolean;
}

/** The configuration of a new bucket. `ttls`: the server keeps a TTL for each message (2.11 and later). */
export function newBucketConfig(
  options: ResolvedOptions,
  subjects: Subjects,
  ttls: boolean,
): Partial<StreamConfig> {
  const { asked } = options;
  return {
    name: subjects.stream,
    subjects: [subjects.all],
    description: "Sessions",
    ...required(options, ttls),
    storage: (asked.storage ?? "file") as StreamConfig["storage"],
    num_replicas: asked.replicas ?? 1,
    max_bytes: asked.maxBytes ?? -1,
    // Clients refuse the field where the server (before 2.10) does not know it.
    ...(asked.compression ? { compression: "s2" as StoreCompression } : {}),
    ...(asked.placement ? { placement: asked.placement as StreamConfig["placement"] & object } : {}),
    republish: republish(subjects),
    allow_rollup_hdrs: true,
    deny_delete: true,
    deny_purge: false,
  };
}

/** In what an existing bucket differs from what sessions need and from what the caller asked for. */
export function differences(
  found: StreamConfig,
  options: ResolvedOptions,
  subjects: Subjects,
  ttls: boolean,
): Difference[] {
  const { asked } = options;
  const wanted = required(options, ttls);
  const list: Difference[] = [];
  const differs = (field: keyof StreamConfig, want: unknown, why: string, mendable = true) =>
    list.push({ field, found: found[field], wanted: want, why, mendable });

  if (!found.subjects?.includes(subjects.all)) {
    differs("subjects", [subjects.all], "the stream must hold the bucket's keys", false);
  }
  if (found.retention !== "limits")
    differs("retention", "limits", "entries must stay after they are read", false);
  if (found.sealed) differs("sealed", false, "a sealed stream takes no writes", false);
  if (found.max_msgs_per_subject !== 1) {
    differs("max_msgs_per_subject", 1, "sessions need history 1: older revisions would outlive a sign-out");
  }
  if (!found.allow_direct) differs("allow_direct", true, "sessions are read by direct get");
  if (ttls && !found.allow_msg_ttl) {
    differs("allow_msg_ttl", true, "sessions need a TTL per message to be removed in time");
  }
  if (ttls && !found.subject_delete_marker_ttl) {
    differs("subject_delete_marker_ttl", wanted.subject_delete_marker_ttl, "expiries are told by markers");
  }
  // Entries that the bucket drops before their time would be lost logins; one that never drops any would,
  // without TTLs per message, keep every session for ever.
  if (found.max_age === 0 ? !ttls : found.max_age < (wanted.max_age ?? 0)) {
    differs("max_age", wanted.max_age, "the bucket's TTL (ns) must cover `maxTtl`");
  }
  if (found.max_bytes > 0 && found.discard !== "new") {
    differs("discard", "new", "a full bucket must refuse new sessions rather than drop live ones");
  }
  if (asked.replicas !== undefined && found.num_replicas !== asked.replicas) {
    differs("num_replicas", asked.replicas, "asked for by `replicas`");
  }
  if (asked.storage !== undefined && found.storage !== asked.storage) {
    differs("storage", asked.storage, "asked for by `storage`", false);
  }
  if (asked.maxBytes !== undefined && found.max_bytes !== asked.maxBytes) {
    differs("max_bytes", asked.maxBytes, "asked for by `maxBytes`");
  }
  // Servers before 2.10 know no compression and leave the field out.
  const compressed = found.compression === ("s2" as StoreCompression);
  if (asked.compression !== undefined && compressed !== asked.compression) {
    differs("compression", asked.compression ? "s2" : "none", "asked for by `compression`");
  }
  if (asked.placement !== undefined && !samePlacement(found.placement, asked.placement)) {
    differs("placement", asked.placement, "asked for by `placement`");
  }
  return list;
}

/** An existing bucket's configuration with the differences mended, and with the change feed where it can be added. */
export function mendedConfig(
  found: StreamConfig,
  mended: Difference[],
  subjects: Subjects,
  canAddFeed: boolean,
): Partial<StreamConfig> {
  const config = { ...found, ...Object.fromEntries(mended.map(({ field, wanted }) => [field, wanted])) };
  if (canAddFeed) config.republish ??= republish(subjects);
  // The server refuses a window for duplicates that is longer than entries live.
  if (config.max_age > 0) config.duplicate_window = Math.min(config.duplicate_window, config.max_age);
  return config;
}

/** What a bucket must be like for sessions to work at all. */
function required(options: ResolvedOptions, ttls: boolean): Partial<StreamConfig> {
  const maxAge = Math.round(options.maxTtl * 1e6);
  return {
    retention: "limits" as StreamConfig["retention"],
    max_msgs_per_subject: 1,
    max_age: maxAge,
    allow_direct: true,
    discard: "new" as StreamConfig["discard"],
    // Long enough for a feed that was cut off to learn of expiries when it is back.
    ...(ttls ? { allow_msg_ttl: true, subject_delete_marker_ttl: Math.min(maxAge, MARKER_TTL) } : {}),
  };
}

function republish(subjects: Subjects): NonNullable<StreamConfig["republish"]> {
  return { src: subjects.all, dest: subjects.changes, headers_only: true };
}

function samePlacement(
  found: StreamConfig["placement"],
  asked: { cluster?: string; tags?: string[] },
): boolean {
  const sorted = (tags: string[] | undefined) => [...(tags ?? [])].sort().join();
  return (
    (asked.cluster === undefined || found?.cluster === asked.cluster) &&
    (asked.tags === undefined || sorted(found?.tags) === sorted(asked.tags))
  );
}
