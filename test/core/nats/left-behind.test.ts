import { fileURLToPath } from "node:url";
import { expect, inject, it } from "vitest";
import { runNode } from "../../support/run-program.js";

const program = fileURLToPath(new URL("programs/opens-and-closes.mjs", import.meta.url));

/** Bytes for each store that the garbage collector and the compiler may be wrong by. A store takes some 3 kB. */
const LITTLE = 400;

it.each(["2", "3"])(
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
