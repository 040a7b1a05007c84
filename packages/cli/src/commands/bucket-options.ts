import type { SessionStoreOptions } from "nats-session-store";
import type { OptionSpecs, Values } from "../input/arguments.js";
import { durationIn, sizeIn } from "../input/units.js";

/** Options that say how the bucket is to be. */
export const BUCKET_OPTIONS: OptionSpecs = {
  replicas: { type: "string", value: "N", help: "copies in a cluster, 1 to 5" },
  "max-bytes": { type: "string", value: "SIZE", help: "most bytes that the bucket may take" },
  "max-ttl": { type: "string", value: "TIME", help: "longest life of a session" },
  compression: { type: "string", value: "s2|none", help: "compression on disk" },
  cluster: { type: "string", value: "NAME", help: "cluster that holds the bucket" },
  tag: { type: "string", value: "TAG", multiple: true, help: "tag of the servers that hold it" },
  "no-feed": { type: "boolean", help: "without the change feed" },
  yes: { type: "boolean", help: "do not ask" },
  "dry-run": { type: "boolean", help: "only print what would change" },
};

/** Options that only a new bucket can have. */
export const NEW_BUCKET_OPTIONS: OptionSpecs = {
  storage: { type: "string", value: "file|memory", help: "where the server keeps the bucket" },
  persist: { type: "string", value: "sync|async", help: "when the server acknowledges a write" },
};

/** The options of the store that those of the command line stand for. @throws UsageError */
export function bucketOptionsIn(values: Values): SessionStoreOptions {
  const compression = values.oneOf("compression", ["s2", "none"]);
  const [cluster, tags] = [values.text("cluster"), values.all("tag")];
  const placement = {
    ...(cluster === undefined ? {} : { cluster }),
    ...(tags.length === 0 ? {} : { tags: [...tags] }),
  };
  return {
    replicas: values.wholeNumber("replicas", 1, 5),
    maxBytes: sizeIn(values, "max-bytes"),
    maxTtl: durationIn(values, "max-ttl"),
    compression: compression === undefined ? undefined : compression === "s2",
    storage: values.oneOf("storage", ["file", "memory"]),
    persist: values.oneOf("persist", ["sync", "async"]),
    placement: Object.keys(placement).length > 0 ? placement : undefined,
    republish: values.has("no-feed") ? false : undefined,
  };
}
