import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import fc from "fast-check";
import { type NatsCluster, startNatsCluster } from "nats-dev-server";
import { openSessionStore, type SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Data, run, schedules } from "./schedule.js";

const CLIENTS = 3;
const STEPS = 14;
const MOVES = 5;
const seed = Number(process.env.SESSION_TEST_SEED ?? Date.now() % 2 ** 31);

describe("on three replicas, a client at each node", () => {
  let cluster: NatsCluster;
  let connections: NatsConnection[];
  let stores: SessionStore[];

  beforeAll(async () => {
    cluster = await startNatsCluster();
    connections = await Promise.all(
      cluster.urls.map((servers) =>
        connect({ servers, ignoreClusterUpdates: true, maxReconnectAttempts: -1 }),
      ),
    );
    // Long enough that an operation outlives the election of a leader: none may fail here.
    const options = { replicas: 3, touchAfter: 0, timeout: 30_000 };
    stores = [];
    for (const nc of connections) stores.push(await openSessionStore<Data>(nc, options));
  }, 90_000);
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await Promise.all(connections.map((nc) => nc.close()));
    await cluster.stop();
  });

  async function moveLeader(): Promise<void> {
    const jsm = await jetstreamManager(connections[0] as NatsConnection, {
      checkAPI: false,
      timeout: 10_000,
    });
    const before = (await jsm.streams.info("KV_sessions")).cluster?.leader;
    const nc = connections[0] as NatsConnection;
    const reply = await nc.request("$JS.API.STREAM.LEADER.STEPDOWN.KV_sessions", "", { timeout: 10_000 });
    expect(reply.json()).toMatchObject({ success: true });
    for (;;) {
      const leader = (await jsm.streams.info("KV_sessions").catch(() => undefined))?.cluster?.leader;
      if (leader && leader !== before) return;
    }
  }

  it("random schedules keep every promise while the bucket's leader moves", {
    timeout: 120_000,
  }, async () => {
    console.log(`SESSION_TEST_SEED=${seed}`);
    let moves = 0;
    let steps = 0;
    const moving = (async () => {
      while (moves < MOVES) {
        await moveLeader();
        moves++;
      }
    })();
    const property = fc.asyncProperty(schedules(CLIENTS, STEPS), async (schedule) => {
      const id = randomUUID();
      const history = await run(schedule, stores, id, 600_000);
      steps += history.operations;
      // Each node must come to the same end.
      for (const store of stores) {
        const violations = history.violations(await store.load(id));
        if (violations.length > 0) throw new Error(violations.join("\n"));
      }
    });
    do {
      const result = await fc.check(property, { seed: seed + steps, numRuns: 10, endOnFailure: true });
      expect(result.failed, String(result.errorInstance)).toBe(false);
    } while (moves < MOVES || steps < 2_000);
    await moving;
  });
});
