import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import fc from "fast-check";
import { type NatsCluster, startNatsCluster } from "nats-dev-server";
import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { until } from "../support/wait.js";
import { type Data, run, schedules } from "./schedule.js";

const CLIENTS = 3;
const STEPS = 14;
const MOVES = 5;

/** More than a replica that is alive is ever behind on a busy machine, in ms. */
const LAG = 10_000;
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
    const options = { replicas: 3, touchAfter: 0, timeout: 60_000 };
    stores = [];
    for (const nc of connections) stores.push(await openPatient<Data>(nc, options));
  });
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await Promise.all(connections.map((nc) => nc.close()));
    await cluster.stop();
  });

  async function moveLeader(): Promise<void> {
    const nc = connections[0] as NatsConnection;
    // Nobody answers while the last election is not over for the server that is asked.
    const stepDown = async () => {
      const asked = nc.request("$JS.API.STREAM.LEADER.STEPDOWN.KV_sessions", "", { timeout: 5000 });
      const answer = await asked.then((reply) => reply.json<{ success?: boolean }>()).catch(() => undefined);
      return answer?.success === true;
    };
    await until("the bucket's leader to step down", stepDown, 60_000);
    const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 5000 });
    // It may be the same node that is elected again; what matters is that for a while there was none.
    const hasLeader = async () =>
      (await jsm.streams.info("KV_sessions").catch(() => undefined))?.cluster?.leader !== undefined;
    await until("the bucket to have a leader", hasLeader, 60_000);
  }

  it("random schedules keep every promise while the bucket's leader moves", {
    timeout: 300_000,
  }, async () => {
    console.log(`SESSION_TEST_SEED=${seed}`);
    let hasMoved = false;
    let steps = 0;
    const moving = (async () => {
      for (let move = 0; move < MOVES; move++) await moveLeader();
    })().finally(() => {
      hasMoved = true;
    });
    moving.catch(() => {}); // told below, where it is awaited
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
});
