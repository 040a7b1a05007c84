import { describe } from "vitest";
import { encryptionBy } from "../support/keys.js";
import { variants } from "../support/variants.js";
import { subjects } from "./subjects.js";
import { conformance } from "./suite.js";

// Some tests put plain values into the bucket, past the store.
const encryption = { ...encryptionBy("newest", "older"), allowPlain: true };

for (const variant of variants().filter(({ name }) => name.startsWith("@nats-io"))) {
  for (const [name, open] of Object.entries(subjects)) {
    describe(`${name}, encrypted, over ${variant.name}`, () =>
      conformance(variant, (nc, options) => open(nc, { encryption, ...options })));
  }
}
