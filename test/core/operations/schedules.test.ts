import { randomUUID } from "node:crypto";
import fc from "fast-check";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPatient } from "../../support/patient.js";
import { seed } from "../../support/random.js";
import { begin, type Data, run, schedules } from "../../support/schedule.js";
import { type Connection, newBucket, type Variant, variants } from "../../support/variants.js";

const CLIENTS = 4;
const STEPS = 14;
const TTL = 600_000;

/** How many steps in all; SESSION_TEST_OPERATIONS asks for more. */
const operations = Number(process.env.SESSION_TEST_OPERATIONS ?? 20_000);
const tested = variants();
const runs = Math.ceil(operations / (CLIENTS * STEPS * tested.length));

const messageOf = (result: { errorInstance: unknown; counterexamplePath: string | null }) =>
  `${String(result.errorInstance)} (seed ${seed}, path ${result.counterexamplePath})`;

describe.each(tested)("random schedules over $name", (variant: Variant) => {
  let connections: Connection[];
  beforeAll(async () => {
    connections = await Promise.all(Array.from({ length: CLIENTS }, () => variant.connect()));
  });
  afterAll(async () => {
    await Promise.all(connections.map((nc) => nc.close()));
  });

  async function check(options: SessionStoreOptions, numRuns: number) {
    const bucket = newBucket();
    const stores: SessionStore<Data>[] = [];
    for (const nc of connections) {
      stores.push(await openPatient<Data>(nc, { bucket, touchAfter: 0, ...options }));
    }
    let steps = 0;
    const property = fc.asyncProperty(schedules(CLIENTS, STEPS), async (schedule) => {
      const clients = stores.map((store) => ({ store }));
      const history = await begin(clients[0] as (typeof clients)[0], randomUUID(), TTL);
      await run(schedule, clients, history, TTL);
      steps += history.operations;
      const final = await stores[0]?.load(history.id);
      const violations = [...history.violations(), ...history.finalViolations(final ?? null)];
      if (violations.length > 0) throw new Error(violations.join("\n"));
    });
    // A schedule does not run the same way twice, so there is nothing to shrink.
    const result = await fc.check(property, { seed, numRuns, endOnFailure: true });
    await Promise.all(stores.map((store) => store.close()));
    return { ...result, steps };
  }

  it("keep every promise of the store", { timeout: 600_000 }, async () => {
    console.log(`SESSION_TEST_SEED=${seed}, ${runs} schedules of ${CLIENTS} clients, ${STEPS} steps each`);
    const result = await check({}, runs);
    expect(result.failed, messageOf(result)).toBe(false);
    expect(result.steps).toBe(runs * CLIENTS * STEPS);
  });

  if (variant === tested[0]) {
    it("keep every promise in three buckets", async () => {
      const result = await check({ shards: 3 }, Math.ceil(runs / 10));
      expect(result.failed, messageOf(result)).toBe(false);
    });
  }

  it("break a promise when changes are overwritten, so the check can fail", async () => {
    const result = await check({ onConflict: "overwrite" }, runs);
    expect(result.failed).toBe(true);
    expect(String(result.errorInstance)).toMatch(/key [abc] is/);
  });
});
