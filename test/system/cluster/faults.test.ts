import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { NatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { expectNothingPending, LITTLE } from "../support/expectations.js";
import { median, report } from "../support/figures.js";
import { Load } from "../support/load.js";
import { Nodes } from "../support/nodes.js";

/** The default of the store: what users see. */
const TIMEOUT = 2000;

describe("a cluster of three under load", () => {
  let nodes: Nodes;
  let connections: NatsConnection[];
  let stores: SessionStore[];
  let bucket: string;

  beforeAll(async () => {
    nodes = await Nodes.start();
  });
  afterAll(() => nodes.close());

  beforeEach(async () => {
    bucket = newBucket();
    connections = await Promise.all(
      [0, 1].map((n) =>
        connect({
          servers: [...nodes.cluster.urls.slice(n), ...nodes.cluster.urls.slice(0, n)],
          maxReconnectAttempts: -1,
          reconnectTimeWait: 100,
        }),
      ),
    );
    const options = { bucket, replicas: 3, timeout: TIMEOUT, touchAfter: 0 };
    stores = await Promise.all(connections.map((nc) => SessionStore.open(nc, options)));
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await Promise.all(connections.map((nc) => nc.close()));
    await expectNothingPending();
  });

  const streams = async () => (await jetstreamManager(connections[0] as NatsConnection)).streams;

  const leader = async () => nodes.server(await nodes.leader(bucket));

  async function check(load: Load): Promise<void> {
    await load.verify(connections[0] as NatsConnection, bucket);
    expect(load.violations).toEqual([]);
    expect(load.codes.filter((code) => code !== "ERR_SESSION_UNAVAILABLE")).toEqual([]);
    expect(load.slowest).toBeLessThan(TIMEOUT + LITTLE);
  }

  it("loses nothing when its leader is killed, then a follower, and each server restarted in turn", async () => {
    const load = await Load.start(...stores);
    const windows: Record<string, { errors: number; gap: number }> = {};
    const measure = async (name: string, act: () => Promise<void>) => {
      await load.further(10);
      const since = performance.now();
      await act();
      await load.further(10);
      windows[name] = {
        errors: Math.round(load.errorWindow(since)),
        gap: Math.round(load.longestGap(since)),
      };
    };

    const first = await leader();
    await measure("leader killed", () => first.kill());
    await first.restart();
    const second = await leader();
    const follower = nodes.cluster.servers.find((server) => server !== second) as NatsServer;
    await measure("follower killed", () => follower.kill());
    await follower.restart();
    for (const [n, server] of nodes.cluster.servers.entries()) {
      await leader();
      await measure(`n${n + 1} restarted`, () => server.restart());
    }
    await leader();
    await check(load);

    const errors = Object.values(windows).map((window) => window.errors);
    const gaps = Object.values(windows).map((window) => window.gap);
    report("cluster", {
      version: nodes.cluster.servers[0]?.version,
      errorWindow: { median: median(errors), worst: Math.max(...errors) },
      longestTimeWithoutSave: { median: median(gaps), worst: Math.max(...gaps) },
      failures: load.failures.length,
      operations: load.counts,
      ...load.broken,
      windows,
    });
  });

  it("refuses writes with a code while two servers are down, and loses nothing acknowledged", async () => {
    const load = await Load.start(...stores);
    await load.further(10);
    const last = await leader();
    const others = nodes.cluster.servers.filter((server) => server !== last);
    await Promise.all(others.map((server) => server.kill()));
    const gone = performance.now();
    for (const operation of ["save", "touch", "destroy"] as const) await load.failure([operation]);
    // What was under way when the majority went may still have been stored by it; after that nothing may.
    const late = load.writes.filter((at) => at > gone + TIMEOUT);
    await Promise.all(others.map((server) => server.restart()));
    await leader();
    await load.further(10);
    await check(load);
    expect(late).toEqual([]);
  });

  it("answers what is asked while two servers are down once they are back, within the timeout", async () => {
    const last = await leader();
    const others = nodes.cluster.servers.filter((server) => server !== last);
    const nc = await connect({ servers: last.url, ignoreClusterUpdates: true, maxReconnectAttempts: -1 });
    const store = await SessionStore.open(nc, { bucket, timeout: 120_000 });
    const { record } = await store.save("ada", { n: 1 });
    await Promise.all(others.map((server) => server.kill()));
    const ask = { last_by_subj: `$KV.${bucket}.s.nobody` };
    await until(
      "the last one to say that there is no leader",
      async () => {
        const reply = await nc
          .request(`$JS.API.STREAM.MSG.GET.KV_${bucket}`, JSON.stringify(ask), { timeout: 1000 })
          .catch(() => undefined);
        return reply?.json<{ error?: { err_code: number } }>().error?.err_code === 10008;
      },
      60_000,
    );
    const answers = Promise.all([
      store.load("nobody"),
      store.touch("ada", record as never, { ttl: 7_200_000 }),
    ]);
    let isOver = false;
    answers
      .catch(() => {})
      .finally(() => {
        isOver = true;
      });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(isOver).toBe(false);
    await Promise.all(others.map((server) => server.restart()));
    expect(await answers).toMatchObject([null, { outcome: expect.stringMatching(/touched|skipped/) }]);
    await leader();
    await store.close();
    await nc.close();
  });

  it("refuses updates and destroys too, with a code, while the bucket is full", async () => {
    const load = await Load.start(...stores);
    await load.further(5);
    const jsm = await streams();
    await jsm.update(`KV_${bucket}`, { max_bytes: 1 });
    for (const operation of ["save", "touch", "destroy"] as const) {
      await until(`a ${operation} that is refused`, () =>
        load.failures.some((each) => each.operation === operation && each.code === "ERR_SESSION_BUCKET_FULL"),
      );
    }
    await jsm.update(`KV_${bucket}`, { max_bytes: -1 });
    await load.further(5);
    await load.verify(connections[0] as NatsConnection, bucket);
    expect(load.violations).toEqual([]);
    expect(load.codes).toEqual(["ERR_SESSION_BUCKET_FULL"]);
  });

  it("says with a code that its bucket was deleted, and works again when it is created again", async () => {
    // With `createBucket: true` a store would create it again at once.
    const strict = await Promise.all(
      connections.map((nc) =>
        SessionStore.open(nc, { bucket, timeout: TIMEOUT, touchAfter: 0, createBucket: false }),
      ),
    );
    const load = await Load.start(...strict);
    await load.further(5);
    await (await streams()).delete(`KV_${bucket}`);
    for (const operation of ["load", "save", "touch", "destroy"] as const) {
      await until(
        `a ${operation} that fails`,
        () =>
          load.failures.some(
            (each) => each.operation === operation && each.code === "ERR_SESSION_BUCKET_MISSING",
          ),
        20_000,
      );
    }
    await load.stop();
    const again = await SessionStore.open(connections[1] as NatsConnection, {
      bucket,
      replicas: 3,
      timeout: 10_000,
    });
    expect((await again.save("own-0-0", { n: 1 })).outcome).toBe("saved");
    expect((await (strict[0] as SessionStore).load("own-0-0"))?.data).toEqual({ n: 1 });
    await Promise.all([again, ...strict].map((store) => store.close()));
  });
});
