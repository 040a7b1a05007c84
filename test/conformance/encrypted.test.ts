import { describe } from "vitest";
import { encryptionBy } from "../encryption/keys.js";
import { variants } from "../support/variants.js";
import { subjects } from "./subjects.js";
import { conformance } from "./suite.js";

const encryption = encryptionBy("newest", "older");

for (const variant of variants().filter(({ name }) => name.startsWith("@nats-io"))) {
  for (const [name, open] of Object.entries(subjects)) {
    describe(`${name}, encrypted, over ${variant.name}`, () =>
      conformance(variant, (nc, options) => open(nc, { encryption, ...options })));
  }
}
