import { setTimeout as sleep } from "node:timers/promises";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { openSessionStore, type SessionStore } from "nats-session-store";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { answered } from "../support/answered.js";
import { type Connection, newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { BadNetwork } from "./support/bad-network.js";
import { clientsUnderFaults, expectNothingPending, LITTLE, rounds } from "./support/expectations.js";
import { report } from "./support/figures.js";
import { Load } from "./support/load.js";
import { pendingRequests } from "./support/pending.js";
import { randomFrom, seed } from "./support/random.js";

const TIMEOUT = 2000;
const PATIENCE = 20_000;

/** As the README advises, only quicker: a dead link is noticed after two pings without an answer. */
const pings = { pingInterval: 600, maxPingOut: 2, timeout: 2000 };

describe.each(clientsUnderFaults)("a bad network, with %s", { timeout: 180_000 }, (client, connect) => {
  let server: NatsServer;
  let network: BadNetwork;
  let direct: Connection;
  let connections: Connection[];
  let stores: SessionStore[];
  let bucket: string;

  beforeAll(async () => {
    server = await startNatsServer();
    direct = await connect({ servers: server.url });
  });
  afterAll(async () => {
    await direct.close();
    await server.stop();
  });
  beforeEach(async () => {
    network = await BadNetwork.start(server.port);
    bucket = newBucket();
    const options = { servers: network.url, ignoreClusterUpdates: true, ...pings };
    connections = await Promise.all([1, 2].map(() => connect(options)));
    stores = await Promise.all(
      connections.map((nc) =>
        answered(() => openSessionStore(nc, { bucket, timeout: TIMEOUT, touchAfter: 0 })),
      ),
    );
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await Promise.all(connections.map((nc) => nc.close()));
    await network.close();
    await expectNothingPending();
  });

  /** Stores that only an outage of this test's own would make give up. */
  const openPatient = () =>
    Promise.all(connections.map((nc) => openSessionStore(nc, { bucket, timeout: PATIENCE, touchAfter: 0 })));
  const check = async (load: Load) => {
    await load.verify(direct, bucket);
    expect(load.violations).toEqual([]);
    expect(load.codes.filter((code) => code !== "ERR_SESSION_UNAVAILABLE")).toEqual([]);
    expect(load.slowest).toBeLessThan(TIMEOUT + LITTLE);
  };
  const figures = (name: string, load: Load, more: object = {}) =>
    report(`${name}-${client.startsWith("nats ") ? "v2" : "v3"}`, {
      operations: load.counts,
      failures: load.failures.length,
      slowestOperation: Math.round(load.slowest),
      ...more,
    });

  it("that is cut makes operations fail in time, and they work again when it is back", async () => {
    const load = await Load.start(...stores);
    await load.further(10);
    const cutAt = performance.now();
    network.cut();
    await load.failure();
    const mendedAt = performance.now();
    network.mend();
    await load.further(10);
    await check(load);
    figures("cut", load, {
      mendedToFirstSave: Math.round(
        (load.writes.find((at) => at > cutAt + 50 && at > mendedAt - 1) as number) - mendedAt,
      ),
    });
  });

  it("that is cut for less than the timeout is not noticed", async () => {
    const patient = await openPatient();
    const load = await Load.start(...patient);
    for (let round = 0; round < rounds(1, 4); round++) {
      await load.further(10);
      // Cut while it connects, a client can take the link for good until its pings tell it otherwise.
      await Promise.all(patient.map((store) => store.load("somebody")));
      network.cut();
      await sleep(100);
      network.mend();
    }
    await load.further(10);
    await load.verify(direct, bucket);
    expect([load.violations, load.failures]).toEqual([[], []]);
    await Promise.all(patient.map((store) => store.close()));
  });

  it("with a link that is half open: operations fail in time, and the client finds a new link", async () => {
    const load = await Load.start(...stores);
    await load.further(10);
    const frozenAt = performance.now();
    network.freeze();
    await load.further(10);
    await check(load);
    figures("half-open", load, { longestGap: Math.round(load.longestGap(frozenAt)) });
  });

  it("with a latency of 200 ms each way works", async () => {
    // A save that meets another one asks four times.
    const patient = await openPatient();
    network.delay(200);
    const load = await Load.start(...patient);
    await load.further(rounds(3, 10));
    await load.verify(direct, bucket);
    expect([load.violations, load.failures]).toEqual([[], []]);
    expect(load.slowest).toBeLessThan(PATIENCE);
    await Promise.all(patient.map((store) => store.close()));
    figures("latency", load);
  });

  it("that resets one in a hundred packets loses nothing", async () => {
    const load = await Load.start(...stores);
    network.reset(0.01, randomFrom(seed));
    await sleep(rounds(2000, 15_000));
    // How many packets there are depends on the machine.
    await until("a reset", () => network.resets > 0, 60_000);
    network.mend();
    await load.further(10);
    await check(load);
    figures("resets", load, { resets: network.resets });
  });

  it("requests that wait are counted, and end with their store", async () => {
    network.cut();
    const loading = stores.map((store) => store.load("somebody"));
    expect(await pendingRequests()).toBe(2);
    for (const each of loading) {
      await expect(each).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    }
  });
});
