import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { statsOf, warm } from "../../support/cached.js";
import { stopClock } from "../../support/clock.js";
import { openPatient } from "../../support/patient.js";
import { bucketOf, bucketsOf, idsIn } from "../../support/shards.js";
import { type Connection, newBucket, type Variant, variantsAndShards } from "../../support/variants.js";
import { until } from "../../support/wait.js";

type Data = Record<string, unknown>;

/** Counts the reads that reach the server from now on, whoever asks. @returns a function that says how many */
async function countReads(nc: Connection, buckets: readonly string[]): Promise<() => Promise<number>> {
  let count = 0;
  for (const bucket of buckets) {
    nc.subscribe(`$JS.API.DIRECT.GET.KV_${bucket}.>`, { callback: () => void count++ });
  }
  await nc.flush();
  return async () => {
    await nc.flush();
    return count;
  };
}

async function hold(store: SessionStore, id: string) {
  const record = await store.load(id);
  if (!record) throw new Error("There is no such session");
  return record;
}

describe.each(variantsAndShards())("a store with a near cache over $name", (variant: Variant) => {
  let here: Connection;
  let there: Connection;
  let bucket: string;
  let cached: SessionStore;
  let other: SessionStore;
  const { shards } = variant;

  beforeAll(async () => {
    [here, there] = await Promise.all([variant.connect(), variant.connect()]);
  });
  afterAll(async () => {
    await Promise.all([here.close(), there.close()]);
  });
  beforeEach(async () => {
    bucket = newBucket();
    cached = await openPatient<Data>(here, { bucket, shards, cache: { maxStale: 60_000 }, touchAfter: 0 });
    other = await openPatient<Data>(there, { bucket, shards, touchAfter: 0 });
  });
  afterEach(async () => {
    await Promise.all([cached.close(), other.close()]);
  });

  it("answers loads without asking the server, and counts them", async () => {
    await cached.save("id", { n: 1 });
    await warm(cached, "id");
    const before = statsOf(cached);
    const reads = await countReads(here, bucketsOf(bucket, shards));
    for (let n = 0; n < 100; n++) expect((await cached.load("id"))?.data).toEqual({ n: 1 });
    expect(await reads()).toBe(0);
    await other.load("id");
    await there.flush();
    expect(await reads()).toBeGreaterThan(0);
    expect(statsOf(cached)).toEqual({ ...before, hits: before.hits + 100, size: 1 });
    expect(other.cacheStats()).toBeUndefined();
  });

  it("gives each caller a copy of the data", async () => {
    await cached.save("id", { list: [1] });
    await warm(cached, "id");
    const one = await hold(cached, "id");
    (one.data.list as number[]).push(2);
    expect((await hold(cached, "id")).data).toEqual({ list: [1] });
  });

  it("reads at once what this process has written", async () => {
    let { record } = await cached.save("id", { n: 0 });
    await warm(cached, "id");
    for (let n = 1; n <= 50; n++) {
      ({ record } = await cached.save("id", { n }, { record: record ?? undefined }));
      expect((await hold(cached, "id")).data).toEqual({ n });
    }
    await cached.destroy("id");
    expect(await cached.load("id")).toBeNull();
  });

  it("reads soon what another process has written", async () => {
    await other.save("id", { n: 0 });
    await warm(cached, "id");
    const { drops } = statsOf(cached);
    await other.save("id", { n: 1 }, { record: await hold(other, "id") });
    await until("the new value", async () => (await hold(cached, "id")).data.n === 1);
    expect(statsOf(cached).drops).toBe(drops + 1);
  });

  it("stops serving a session that another process has destroyed, long before `maxStale`", async () => {
    const times: number[] = [];
    for (let n = 0; n < 20; n++) {
      await other.save(`id${n}`, { n });
      await warm(cached, `id${n}`);
      await other.destroy(`id${n}`);
      const start = performance.now();
      while (await cached.load(`id${n}`)) await sleep(0);
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[10] as number;
    // On a busy machine; without the feed it would be `maxStale`.
    expect(median).toBeLessThan(5000);
  });

  it("merges a save of a cached session that another process has changed", async () => {
    await other.save("id", { a: 0, b: 0 });
    await warm(cached, "id");
    const mine = await hold(cached, "id");
    await other.save("id", { a: 1, b: 0 }, { record: await hold(other, "id") });
    const { outcome } = await cached.save("id", { a: 0, b: 1 }, { record: mine });
    expect(outcome).toBe("merged");
    expect((await hold(cached, "id")).data).toEqual({ a: 1, b: 1 });
  });

  it("does not serve a session after its expiry", async () => {
    await cached.save("id", { n: 1 }, { ttl: 60_000 });
    await warm(cached, "id");
    const clock = stopClock();
    clock.advanceTo((await hold(cached, "id")).expiresAt - 1);
    expect(await cached.load("id")).not.toBeNull();
    clock.advance(1);
    expect(await cached.load("id")).toBeNull();
  });

  it("does not take a session for expired that another process has renewed, although the feed has not told yet", async () => {
    await cached.save("id", { n: 1 }, { ttl: 60_000 });
    await warm(cached, "id");
    const { expiresAt } = await hold(cached, "id");
    // From now on the bucket republishes nothing, as if each message were late.
    const { streams } = await jetstreamManager(there as never);
    const { config } = await streams.info(`KV_${bucketOf(bucket, other.handleOf("id"), shards)}`);
    await streams.update(config.name, { ...config, republish: undefined as never });
    await other.touch("id", await hold(other, "id"), { ttl: 120_000 });
    stopClock().advanceTo(expiresAt);
    expect((await cached.load("id"))?.data).toEqual({ n: 1 });
  });

  it("keeps a cached session through a touch, with the new expiry", async () => {
    await cached.save("id", { n: 1 }, { ttl: 60_000 });
    await warm(cached, "id");
    const { record } = await cached.touch("id", await hold(cached, "id"), { ttl: 120_000 });
    expect(await hold(cached, "id")).toMatchObject({
      expiresAt: record?.expiresAt,
      revision: record?.revision,
    });
  });

  it("serves no session after another process has called clear", async () => {
    await cached.save("id", { n: 1 });
    await warm(cached, "id");
    await other.clear();
    await until("the session to be gone", async () => (await cached.load("id")) === null);
  });

  it("keeps no more than `max` sessions", async () => {
    const small = await openPatient<Data>(here, { bucket, shards, cache: { max: 3 } });
    for (let n = 0; n < 10; n++) await small.save(`id${n}`, { n });
    expect(statsOf(small).size).toBe(3);
    expect((await hold(small, "id0")).data).toEqual({ n: 0 });
    await small.close();
  });
});

describe.each([1, 3])("a near cache whose feed is disturbed, in %d buckets", (shards) => {
  let server: NatsServer;
  let connections: NatsConnection[];
  const open = async (options: SessionStoreOptions) => {
    const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
    connections.push(nc);
    return { nc, store: await openPatient<Data>(nc, { shards, ...options }) };
  };

  beforeEach(async () => {
    connections = [];
    server = await startNatsServer();
  });
  afterEach(async () => {
    await Promise.all(connections.map((nc) => nc.close()));
    await server.stop();
  });

  it("serves no session beyond `maxStale` although the change of it was not republished", async () => {
    const bucket = newBucket();
    const { nc, store: cached } = await open({ bucket, cache: { maxStale: 300 } });
    const { store: other } = await open({ bucket });
    const [id, later] = idsIn(other, 0, shards, 2) as [string, string];
    await other.save(id, { n: 0 });
    await warm(cached, id);
    // From now on the bucket republishes nothing, as if each message were lost.
    const { streams } = await jetstreamManager(nc);
    const { config } = await streams.info(`KV_${bucketsOf(bucket, shards)[0]}`);
    await streams.update(config.name, { ...config, republish: undefined as never });
    await other.destroy(id);
    const destroyedAt = performance.now();
    let servedAt = destroyedAt;
    for (let askedAt = destroyedAt; await cached.load(id); askedAt = performance.now()) servedAt = askedAt;
    expect(servedAt - destroyedAt).toBeLessThan(300);
    // What the feed does not tell is read from the bucket: the cache works on, and stays honest.
    await other.save(later, { n: 0 });
    await warm(cached, later);
    await other.save(later, { n: 1 }, { record: await hold(other, later) });
    await until("the new value", async () => (await hold(cached, later)).data.n === 1);
  });

  it("serves no session beyond `maxStale` while the server does not answer", async () => {
    const { store: cached } = await open({ cache: { maxStale: 300 }, timeout: 2000 });
    await cached.save("id", { n: 0 });
    await warm(cached, "id");
    await server.pause();
    const pausedAt = performance.now();
    let servedAt = pausedAt;
    try {
      for (;;) {
        const askedAt = performance.now();
        await cached.load("id");
        servedAt = askedAt;
        await sleep(5);
      }
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    } finally {
      await server.resume();
    }
    expect(servedAt - pausedAt).toBeLessThan(300);
    await warm(cached, "id");
  });

  it("is emptied when the connection breaks, and serves again when it is back", async () => {
    const { store: cached } = await open({ cache: { maxStale: 600_000 } });
    await cached.save("id", { n: 0 });
    await warm(cached, "id");
    const { drops } = statsOf(cached);
    await server.kill();
    await until("the cache to be closed", () => statsOf(cached).size === 0);
    expect(statsOf(cached).drops).toBe(drops + 1);
    await server.restart();
    await warm(cached, "id");
  });

  it("does not serve a session that was ended while the connection was down", async () => {
    const { nc, store: cached } = await open({ cache: true });
    const { store: other } = await open({});
    await cached.save("id", { n: 0 });
    await warm(cached, "id");
    await nc.reconnect();
    await other.destroy("id");
    await until("the session to be refused", async () => {
      try {
        return (await cached.load("id")) === null;
      } catch {
        return false;
      }
    });
  });

  it("cannot be opened on a bucket without a feed", async () => {
    const { nc, store } = await open({ bucket: "plain" });
    await store.close();
    const { streams } = await jetstreamManager(nc);
    const { config } = await streams.info(`KV_${bucketsOf("plain", shards).at(-1)}`);
    await streams.update(config.name, { ...config, republish: undefined as never });
    await expect(openPatient(nc, { bucket: "plain", shards, cache: true })).rejects.toMatchObject({
      code: "ERR_SESSION_NO_FEED",
    });
  });
});
