import { randomUUID } from "node:crypto";
import fc from "fast-check";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Data, run, schedules } from "../concurrency/schedule.js";
import { openPatient } from "../support/patient.js";
import { type Connection, newBucket, variants } from "../support/variants.js";
import { encryptionBy } from "./keys.js";

const CLIENTS = 4;
const STEPS = 14;
const TTL = 600_000;
const RUNS = 15;

const seed = Number(process.env.SESSION_TEST_SEED ?? Date.now() % 2 ** 31);

/** What the store that begins the session is opened with, and what the clients' stores are. */
const fleets: Record<string, { first: SessionStoreOptions; clients: SessionStoreOptions[] }> = {
  "that began under an older key": {
    first: { encryption: encryptionBy("k1") },
    clients: [{ encryption: encryptionBy("k2", "k1") }],
  },
  "that began without encryption": {
    first: {},
    clients: [{ encryption: encryptionBy("k1") }],
  },
  "of processes that do not agree on the first key": {
    first: { encryption: encryptionBy("k1") },
    clients: [
      { encryption: encryptionBy("k1", "k2", "k3") },
      { encryption: encryptionBy("k2", "k1", "k3") },
      { encryption: encryptionBy("k3", "k2", "k1") },
      { encryption: encryptionBy("k2", "k1", "k3") },
    ],
  },
};

const tested = variants().filter(({ name }) => name.startsWith("@nats-io"));

describe.each(tested)("random schedules over $name, with a session", (variant) => {
  let connections: Connection[];
  beforeAll(async () => {
    connections = await Promise.all(Array.from({ length: CLIENTS }, () => variant.connect()));
  });
  afterAll(async () => {
    await Promise.all(connections.map((nc) => nc.close()));
  });

  it.each(Object.entries(fleets))("%s: keep every promise", { timeout: 300_000 }, async (_name, fleet) => {
    console.log(`SESSION_TEST_SEED=${seed}, ${RUNS} schedules of ${CLIENTS} clients, ${STEPS} steps each`);
    const bucket = newBucket();
    const open = (nc: Connection | undefined, options: SessionStoreOptions | undefined) =>
      openPatient<Data>(nc as Connection, { bucket, touchAfter: 0, ...options });
    const first = await open(connections[0], fleet.first);
    const stores: SessionStore[] = [];
    for (const [n, nc] of connections.entries()) {
      stores.push(await open(nc, fleet.clients[n % fleet.clients.length]));
    }
    const property = fc.asyncProperty(schedules(CLIENTS, STEPS), async (schedule) => {
      const id = randomUUID();
      const history = await run(schedule, stores, id, TTL, first);
      const finals = await Promise.all(stores.map((store) => store.load(id)));
      for (const final of finals) {
        const violations = history.violations(final);
        if (violations.length > 0) throw new Error(violations.join("\n"));
      }
      const seen = finals.map((final) => JSON.stringify([final?.data, final?.createdAt, final?.handle]));
      if (new Set(seen).size > 1) throw new Error(`the processes see different sessions: ${seen.join(", ")}`);
      // Ended in the one place where it is, it is nowhere.
      await stores[0]?.destroyHandle(finals[0]?.handle ?? "");
      const left = await Promise.all(stores.map((store) => store.load(id)));
      if (left.some((record) => record)) throw new Error("the session was in two places");
    });
    // A schedule does not run the same way twice, so there is nothing to shrink.
    const result = await fc.check(property, { seed, numRuns: RUNS, endOnFailure: true });
    expect(result.failed, `${result.errorInstance} (seed ${seed}, path ${result.counterexamplePath})`).toBe(
      false,
    );
    await Promise.all([first, ...stores].map((store) => store.close()));
  });
});
