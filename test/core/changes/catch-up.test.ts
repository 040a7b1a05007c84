import { describe, expect, it } from "vitest";
import { CatchUp, type CatchUpSource } from "../../../packages/core/src/changes/catch-up.js";
import { GapBuffer } from "../../../packages/core/src/changes/gap-buffer.js";
import { until } from "../../support/wait.js";
import type { ModelWrite } from "./model.js";

/** How long a leader may lag behind, in ms. */
const LAG = 20;

describe("catching up where the bucket ends before what was emitted", () => {
  /** A feed that has emitted ten writes. */
  const begin = async (term: string) => {
    let missed = 0;
    let answer: () => { term: string; last: number } = () => ({ term, last: 10 });
    const nothing = async () => null;
    const source: CatchUpSource<ModelWrite> = {
      position: async () => ({ first: 1, entries: 1, identity: "one", serverTime: 1, ...answer() }),
      readSequence: nothing,
      readNext: nothing,
      scan: async function* () {},
      outlasts: () => false,
    };
    const buffer = new GapBuffer<ModelWrite>({ emit: () => {}, isSame: () => true });
    const catchUp = new CatchUp(buffer, source, () => missed++, LAG);
    await catchUp.begin(await source.position());
    const run = (next: typeof answer) => {
      answer = next;
      return catchUp.run(false);
    };
    const past = () => {
      const end = performance.now() + LAG;
      return until("a leader to have caught up", () => performance.now() > end);
    };
    return { run, past, missed: () => missed };
  };

  const end = (term: string, last: number) => () => ({ term, last });

  it("is `missed` once a leader has said so for longer than it may lag behind", async () => {
    const { run, past, missed } = await begin("a");
    expect(await run(end("a", 5))).toBe(false);
    await past();
    expect(missed()).toBe(0);
    expect(await run(end("a", 5))).toBe(true);
    expect(missed()).toBe(1);
  });

  it("is not `missed` where another leader was elected meanwhile, or may have been, however often", async () => {
    const { run, past, missed } = await begin("a");
    const none = () => {
      throw new Error("no leader");
    };
    for (const term of ["b", "c", "c", "d"]) {
      expect(await run(end(term, 5))).toBe(false);
      await past();
      if (term === "c") await expect(run(none)).rejects.toThrow("no leader");
    }
    expect(await run(end("d", 10))).toBe(true);
    expect(await run(end("d", 5))).toBe(false);
    expect(missed()).toBe(0);
  });

  it("is `missed` at once where there is no cluster", async () => {
    const { run, missed } = await begin("");
    expect(await run(end("", 5))).toBe(true);
    expect(missed()).toBe(1);
  });
});
