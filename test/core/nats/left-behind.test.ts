import { fileURLToPath } from "node:url";
import { expect, inject, it } from "vitest";
import { runNode } from "../../support/run-program.js";
import { rounds } from "../../system/support/expectations.js";

const program = fileURLToPath(new URL("programs/opens-and-closes.mjs", import.meta.url));

/** Bytes for each store that the garbage collector and the compiler may be wrong by. A store takes some 3 kB. */
const LITTLE = 400;

/** The older client's in the whole form, which `npm run test:system` runs. */
const generations = ["3", "2"].slice(0, rounds(1, 2));

it.each(generations)(
  "a thousand stores that were opened and closed leave nothing on a connection of client %s",
  async (generation) => {
    const { stdout, stderr } = await runNode(["--expose-gc", program, inject("currentServer"), generation]);
    expect(stderr).toBe("");
    const { growth, start, end } = JSON.parse(stdout) as { growth: number[]; start: object; end: object };
    expect(end).toEqual(start);
    // What stays behind stays behind each time; the least growth is the one with the least noise.
    expect(Math.min(...growth), `bytes for each store: ${growth}`).toBeLessThan(LITTLE);
  },
);
