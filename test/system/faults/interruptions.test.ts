import { setTimeout as sleep } from "node:timers/promises";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { BadNetwork } from "../../support/bad-network.js";
import { randomFrom, seed } from "../../support/random.js";
import { type Connection, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { clientsUnderFaults, expectNothingPending, LITTLE, rounds } from "../support/expectations.js";
import { median, report } from "../support/figures.js";
import { Load } from "../support/load.js";
import { pendingRequests } from "../support/pending.js";

const TIMEOUT = 2000;
const PATIENCE = 20_000;

/** As the README advises, only quicker: a dead link is noticed after two pings without an answer. */
const pings = { pingInterval: 600, maxPingOut: 2, timeout: 2000 };

describe.each(clientsUnderFaults)("under load over %s", { timeout: 180_000 }, (client, connect) => {
  let server: NatsServer;
  let network: BadNetwork;
  let direct: Connection;
  let connections: Connection[];
  let stores: SessionStore[];
  let bucket: string;

  beforeEach(async () => {
    server = await startNatsServer();
    network = await BadNetwork.start(server.port);
    direct = await connect({ servers: server.url });
    bucket = newBucket();
    const options = { servers: network.url, ignoreClusterUpdates: true, ...pings };
    connections = await Promise.all([1, 2].map(() => connect(options)));
    stores = await Promise.all(connections.map((nc) => answered(() => open(nc, TIMEOUT))));
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await Promise.all([...connections, direct].map((nc) => nc.close()));
    await network.close();
    await server.stop();
    await expectNothingPending();
  });

  const open = (nc: Connection, timeout: number) => SessionStore.open(nc, { bucket, timeout, touchAfter: 0 });
  /** Stores that only an outage of the test's own makes give up. */
  const openPatient = () => Promise.all(connections.map((nc) => open(nc, PATIENCE)));

  async function check(load: Load): Promise<void> {
    await load.verify(direct, bucket);
    expect(load.violations).toEqual([]);
    expect(load.codes.filter((code) => code !== "ERR_SESSION_UNAVAILABLE")).toEqual([]);
    expect(load.slowest).toBeLessThan(TIMEOUT + LITTLE);
  }
  const figures = (name: string, load: Load, more: object = {}) =>
    report(`${name}-${client.startsWith("nats ") ? "v2" : "v3"}`, {
      operations: load.counts,
      ...load.broken,
      failures: load.failures.length,
      slowestOperation: Math.round(load.slowest),
      ...more,
    });

  it("a killed and restarted server loses nothing acknowledged, and service resumes by itself", async () => {
    const load = await Load.start(...stores);
    const afterReady: number[] = [];
    const afterKill: number[] = [];
    for (let round = 0; round < rounds(2, 5); round++) {
      await load.further(15);
      const killedAt = performance.now();
      await server.kill();
      // An outage that every operation notices, and in other rounds one that operations may outlive.
      if (round % 2 === 0) await load.failure();
      await server.restart();
      const readyAt = performance.now();
      await load.further(5);
      const first = load.writes.find((at) => at > killedAt + 1 && at > readyAt - 50) as number;
      afterReady.push(Math.max(0, Math.round(first - readyAt)));
      afterKill.push(Math.round(first - killedAt));
    }
    await check(load);
    expect(load.failures.length).toBeGreaterThan(0);
    figures("kill", load, {
      serverBackToFirstSave: { median: median(afterReady), worst: Math.max(...afterReady) },
      killToFirstSave: { median: median(afterKill), worst: Math.max(...afterKill) },
    });
  });

  it("a frozen server makes no operation hang, and service resumes by itself", async () => {
    const load = await Load.start(...stores);
    await load.further(15);
    await server.pause();
    await load.failure();
    await sleep(rounds(1000, 5000));
    await server.resume();
    await load.further(15);
    await check(load);
  });

  it("a network that is cut makes operations fail in time, and they work again when it is back", async () => {
    const load = await Load.start(...stores);
    await load.further(10);
    const cutAt = performance.now();
    network.cut();
    await load.failure();
    const mendedAt = performance.now();
    network.mend();
    await load.further(10);
    await check(load);
    const first = load.writes.find((at) => at > cutAt + 50 && at > mendedAt - 1) as number;
    figures("cut", load, { mendedToFirstSave: Math.round(first - mendedAt) });
  });

  it("a network that is cut for less than the timeout makes no operation fail", async () => {
    const patient = await openPatient();
    const load = await Load.start(...patient);
    for (let round = 0; round < rounds(1, 4); round++) {
      await load.further(10);
      // Cut while it connects, a client can take the link for good until its pings tell it otherwise.
      await Promise.all(patient.map((store) => store.load("missing")));
      network.cut();
      await sleep(100);
      network.mend();
    }
    await load.further(10);
    await load.verify(direct, bucket);
    expect([load.violations, load.failures]).toEqual([[], []]);
    await Promise.all(patient.map((store) => store.close()));
  });

  it("a half-open link makes operations fail in time, and the client finds a new link", async () => {
    const load = await Load.start(...stores);
    await load.further(10);
    const frozenAt = performance.now();
    network.freeze();
    await load.further(10);
    await check(load);
    figures("half-open", load, { longestGap: Math.round(load.longestGap(frozenAt)) });
  });

  it("a latency of 200 ms each way makes no operation fail", async () => {
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

  it("a network that resets one in a hundred packets loses nothing acknowledged", async () => {
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

  it("requests that wait for an answer are counted, and end with their store", async () => {
    network.cut();
    const loading = stores.map((store) => store.load("missing"));
    expect(await pendingRequests()).toBe(2);
    for (const each of loading) {
      await expect(each).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    }
  });
});
