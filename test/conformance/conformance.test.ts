import { describe } from "vitest";
import { variants } from "../support/variants.js";
import { subjects } from "./subjects.js";
import { conformance } from "./suite.js";

for (const variant of variants()) {
  for (const [name, open] of Object.entries(subjects)) {
    describe(`${name} over ${variant.name}`, () => conformance(variant, open));
  }
}
