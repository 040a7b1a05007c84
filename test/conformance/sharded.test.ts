import { describe } from "vitest";
import { shardOf } from "../../packages/core/src/format/shards.js";
import { newBucket, variants } from "../support/variants.js";
import { subjects } from "./subjects.js";
import { conformance } from "./suite.js";

const holderOf = (bucket: string, handle: string) => `${bucket}_${shardOf(handle, 3)}`;

for (const variant of variants().filter(({ name }) => name.startsWith("@nats-io"))) {
  for (const [name, open] of Object.entries(subjects)) {
    describe(`${name} in three buckets, over ${variant.name}`, () =>
      conformance(variant, (nc, options) => open(nc, { shards: 3, ...options }), newBucket(), holderOf));
  }
}
