import { fileURLToPath } from "node:url";
import { expect, inject, it } from "vitest";
import { runNode } from "../../support/run-program.js";
import { rounds } from "../../system/support/expectations.js";

const program = fileURLToPath(new URL("programs/opens-and-closes.mjs", import.meta.url));

/** Ten seconds of computing, on a machine that is busy with other things, in ms. */
const LONG = 300_000;

/** Bytes for each store that the garbage collector and the compiler may be wrong by. A store takes some 3 kB. */
const LITTLE = 400;

/** The older client's in the whole form, which `npm run test:system` runs. */
const generations = ["3", "2"].slice(0, rounds(1, 2));

it.each(generations)(
  "a thousand stores that were opened and closed leave nothing on a connection of client %s",
  async (generation) => {
    const args = ["--expose-gc", program, inject("currentServer"), generation];
    const { stdout, stderr } = await runNode(args, {}, LONG);
    expect(stderr).toBe("");
    const { growth, start, end } = JSON.parse(stdout) as { growth: number[]; start: object; end: object };
    expect(end).toEqual(start);
    // What stays behind stays behind each time; the least growth is the one with the least noise.
    expect(Math.min(...growth), `bytes for each store: ${growth}`).toBeLessThan(LITTLE);
  },
  LONG + 10_000,
);
