import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import { SessionAdmin } from "nats-session-store/admin";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { confBlocksOf } from "../../support/conf-blocks.js";
import { HubAndLeaf } from "../../support/hub-and-leaf.js";
import { openPatient, PATIENCE } from "../../support/patient.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";

const user = (data: { user?: string }) => data.user;

const connections: NatsConnection[] = [];
const stores: SessionStore[] = [];

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  await Promise.all(connections.splice(0).map((nc) => nc.close()));
});

async function open(nc: NatsConnection, options: SessionStoreOptions): Promise<SessionStore> {
  const store = await openPatient(nc, { user, ...options });
  stores.push(store);
  return store;
}

async function connectTo(servers: string, login: object = {}): Promise<NatsConnection> {
  const nc = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 50, ...login });
  connections.push(nc);
  return nc;
}

/** Loads until the cache answers. */
async function warm(store: SessionStore, id: string): Promise<void> {
  await until("an answer from the cache", async () => {
    const before = store.cacheStats()?.hits ?? 0;
    await store.load(id);
    return (store.cacheStats()?.hits ?? 0) > before;
  });
}

describe("an application on a leaf node", () => {
  let servers: HubAndLeaf;
  beforeAll(async () => {
    servers = await HubAndLeaf.start();
  });
  afterAll(() => servers?.stop());

  it("uses a bucket of the leaf and one of the hub under the same name", async () => {
    const bucket = newBucket();
    const nc = await connectTo(servers.leaf.url);
    const here = await open(nc, { bucket });
    const there = await open(nc, { bucket, domain: "hub" });
    const atHub = await open(await connectTo(servers.hub.url), { bucket });
    await here.save("here", { user: "ada", place: "leaf" });
    await there.save("there", { user: "ada", place: "hub" });
    expect(await here.load("there")).toBeNull();
    expect(await there.load("here")).toBeNull();
    expect((await atHub.load("there"))?.data).toEqual({ user: "ada", place: "hub" });
    expect(await atHub.load("here")).toBeNull();
    for (const store of [here, there, atHub]) {
      const places: unknown[] = [];
      for await (const { data } of store.listByUser("ada")) places.push(data.place);
      expect(places).toEqual([store === here ? "leaf" : "hub"]);
    }
  });

  it("hears of the changes of each bucket alone, also with a near cache", async () => {
    const bucket = newBucket();
    const nc = await connectTo(servers.leaf.url);
    const cache = { maxStale: 60_000 };
    const here = await open(nc, { bucket, cache });
    const there = await open(nc, { bucket, domain: "hub", cache });
    const atHub = await open(await connectTo(servers.hub.url), { bucket });
    const changes = { here: here.changes(), there: there.changes() };
    await Promise.all([changes.here.ready, changes.there.ready]);
    await atHub.save("one", {});
    expect((await changes.there.next()).value).toMatchObject({
      type: "created",
      handle: here.handleOf("one"),
    });
    await here.save("two", {});
    expect((await changes.here.next()).value).toMatchObject({
      type: "created",
      handle: here.handleOf("two"),
    });
    await warm(there, "one");
    await atHub.destroy("one");
    expect((await changes.there.next()).value).toMatchObject({ type: "destroyed" });
    expect(await there.load("one")).toBeNull();
  });

  it("reads its own writes, touches, rotates and ends sessions in the hub's domain", async () => {
    const nc = await connectTo(servers.leaf.url);
    const store = await open(nc, {
      bucket: newBucket(),
      domain: "hub",
      touchAfter: 0,
      maxSessionsPerUser: 1,
    });
    const { record } = await store.save("a", { user: "ada" });
    if (!record) throw new Error("It was not saved");
    expect(await store.touch("a", record, { ttl: 90_000_000 })).toMatchObject({ outcome: "touched" });
    expect((await store.rotate("a", "b", { user: "ada", n: 1 }, { record })).outcome).toBe("saved");
    expect(await store.load("a")).toBeNull();
    expect((await store.load("b"))?.data).toEqual({ user: "ada", n: 1 });
    await store.save("c", { user: "ada" });
    expect(await store.load("b")).toBeNull();
    expect(await store.destroy("c")).toBe(true);
    expect(await store.count({ exact: true })).toBe(0);
  });

  it("is told which domain has no bucket, or no JetStream", async () => {
    const nc = await connectTo(servers.leaf.url);
    const missing = openPatient(nc, { bucket: "none", domain: "hub", createBucket: false });
    await expect(missing).rejects.toMatchObject({
      code: "ERR_SESSION_BUCKET_MISSING",
      message: expect.stringContaining('"none" in the domain "hub"'),
    });
    const nowhere = openPatient(nc, { bucket: "none", domain: "nowhere", timeout: 300 });
    await expect(nowhere).rejects.toMatchObject({
      code: "ERR_SESSION_UNAVAILABLE",
      message: expect.stringContaining('in the domain "nowhere"'),
    });
  });

  it("is told of which domain an error is", async () => {
    const nc = await connectTo(servers.leaf.url);
    const inHub = (code: string) => ({ code, message: expect.stringContaining('in the domain "hub"') });
    const hub = { domain: "hub" };

    const sharded = newBucket();
    await open(nc, { ...hub, bucket: sharded, shards: 2 });
    for (const bucket of [sharded, `${sharded}_1`]) {
      const other = openPatient(nc, { ...hub, bucket });
      await expect(other).rejects.toMatchObject(inHub("ERR_SESSION_BUCKET_MISMATCH"));
    }
    const silent = await open(nc, { ...hub, bucket: newBucket(), republish: false });
    await expect(silent.changes().ready).rejects.toMatchObject(inHub("ERR_SESSION_NO_FEED"));

    const bucket = newBucket();
    const full = await open(nc, { ...hub, bucket, maxBytes: 5000 });
    const saving = full.save("a", { text: "x".repeat(6000) });
    await expect(saving).rejects.toMatchObject(inHub("ERR_SESSION_BUCKET_FULL"));

    // Nothing answers for a bucket of the hub that is gone: the store asks why after a quarter of its timeout.
    const gone = await answered(() => open(nc, { ...hub, bucket, createBucket: false, timeout: 2000 }));
    const { streams } = await jetstreamManager(await connectTo(servers.hub.url));
    await streams.delete(`KV_${bucket}`);
    await expect(answered(() => gone.load("a"))).rejects.toMatchObject(inHub("ERR_SESSION_BUCKET_MISSING"));
  });

  it("gets an error that names the domain while the hub is out of reach, and works again without a restart", async () => {
    const nc = await connectTo(servers.leaf.url);
    const bucket = newBucket();
    const here = await open(nc, { bucket });
    const there = await answered(() => open(nc, { bucket, domain: "hub", timeout: 1000 }));
    await until("a first save", () =>
      there.save("a", { n: 1 }).then(
        () => true,
        () => false,
      ),
    );
    servers.network.cut();
    try {
      const failing = [
        there.load("a"),
        there.load("none"),
        there.save("a", { n: 2 }),
        there.destroy("a"),
        there.destroyByUser("ada"),
        there.count(),
        there.check(),
      ];
      for (const result of await Promise.allSettled(failing)) {
        expect(result).toMatchObject({
          status: "rejected",
          reason: {
            code: "ERR_SESSION_UNAVAILABLE",
            message: expect.stringContaining('in the domain "hub"'),
          },
        });
      }
      await here.save("b", {});
      expect(await here.load("b")).not.toBeNull();
    } finally {
      servers.network.mend();
    }
    await until("the hub to be back", () =>
      there.load("a").then(
        (record) => record?.data.n === 1,
        () => false,
      ),
    );
  });
});

describe("a user of the documentation's leaf node", () => {
  let servers: HubAndLeaf;
  beforeAll(async () => {
    const [conf = ""] = await confBlocksOf("scaling.md");
    servers = await HubAndLeaf.start(conf.replace('"a password"', "p"));
    const nc = await connect({ servers: servers.hub.url });
    await (await openPatient(nc)).close();
    await nc.close();
  });
  afterAll(() => servers?.stop());

  const login = { user: "app", pass: "p", inboxPrefix: "_INBOX_sessions" };

  it("has every permission that a store with a near cache needs", async () => {
    const nc = await connectTo(servers.leaf.url, login);
    const admin = new SessionAdmin(nc, { domain: "hub", timeout: PATIENCE });
    const trials = await admin.tryPermissions();
    await admin.close();
    expect(trials.filter(({ result }) => result !== "allowed")).toEqual([]);
    expect(trials.length).toBe(7);
    const store = await open(nc, { domain: "hub", createBucket: false, cache: true });
    await store.save("a", { user: "ada" });
    await warm(store, "a");
    for await (const { data } of store.listByUser("ada")) expect(data).toEqual({ user: "ada" });
    expect(await store.destroy("a")).toBe(true);
  });

  it("may not use the leaf's own bucket, and is told the subject", async () => {
    const nc = await connectTo(servers.leaf.url, login);
    await expect(openPatient(nc)).rejects.toMatchObject({
      code: "ERR_SESSION_PERMISSION",
      message: expect.stringContaining("$JS.API.STREAM.INFO.KV_sessions"),
    });
  });
});
