import { describe } from "vitest";
import { bucketOf } from "../support/shards.js";
import { newBucket, variants } from "../support/variants.js";
import { subjects } from "./subjects.js";
import { conformance } from "./suite.js";

for (const variant of variants().filter(({ name }) => name.startsWith("@nats-io"))) {
  for (const [name, open] of Object.entries(subjects)) {
    const openSharded: typeof open = (nc, options) => open(nc, { shards: 3, ...options });
    describe(`${name} in three buckets, over ${variant.name}`, () =>
      conformance(variant, openSharded, newBucket(), (bucket, handle) => bucketOf(bucket, handle, 3)));
  }
}
