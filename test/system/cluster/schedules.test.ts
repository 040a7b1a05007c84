import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { seed } from "../../support/random.js";
import { type Data, run, schedules } from "../../support/schedule.js";
import { until } from "../../support/wait.js";
import { Nodes } from "../support/nodes.js";

const CLIENTS = 3;
const STEPS = 14;
const MOVES = 5;

/** More than a replica that is alive is ever behind on a busy machine, in ms. */
const LAG = 10_000;

it("random schedules of clients at three nodes keep every promise while the bucket's leader changes", {
  timeout: 300_000,
}, async () => {
  console.log(`SESSION_TEST_SEED=${seed}`);
  const nodes = await Nodes.start();
  onTestFinished(() => nodes.close());
  // Each operation outlives the election of a leader: none may fail here.
  const stores = await nodes.open<Data>({ timeout: 60_000 });
  let hasMoved = false;
  let steps = 0;
  const moving = (async () => {
    for (let move = 0; move < MOVES; move++) await nodes.stepDown();
  })().finally(() => {
    hasMoved = true;
  });
  moving.catch(() => {}); // told where it is awaited
  const property = fc.asyncProperty(schedules(CLIENTS, STEPS), async (schedule) => {
    const id = randomUUID();
    const history = await run(schedule, stores, id, 600_000);
    steps += history.operations;
    // Each node must come to the same end, though a replica may be a little behind.
    for (const store of stores) {
      let violations: string[] = [];
      const isWell = async () => {
        violations = history.violations(await store.load(id), LAG);
        return violations.length === 0;
      };
      await until("every node to be in the right state", isWell, 60_000).catch((error) => {
        throw new Error(violations.join("\n"), { cause: error });
      });
    }
  });
  do {
    const result = await fc.check(property, { seed: seed + steps, numRuns: 10, endOnFailure: true });
    expect(result.failed, String(result.errorInstance)).toBe(false);
  } while (!hasMoved || steps < 2_000);
  await moving;
});
