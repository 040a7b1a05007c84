import { jetstreamManager } from "@nats-io/jetstream";
import { startNatsServer } from "nats-dev-server";
import type { SessionStoreOptions } from "nats-session-store";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { shardOf } from "../../../packages/core/src/format/shards.js";
import { BadNetwork } from "../../support/bad-network.js";
import { statsOf, warm } from "../../support/cached.js";
import { putEntry } from "../../support/put-entry.js";
import { Stores } from "../../support/stores.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

const MISMATCH = "ERR_SESSION_BUCKET_MISMATCH";
const MISSING = "ERR_SESSION_BUCKET_MISSING";

const stores = new Stores({ connect: connectCurrent });
afterEach(() => stores.close());

const streamsOf = async (nc: Connection) => (await jetstreamManager(nc as never)).streams;

/** The first `count` ids of which the session lies in this bucket of `shards`. */
function idsIn(
  store: { handleOf(id: string): string },
  shard: number,
  shards: number,
  count: number,
): string[] {
  const ids: string[] = [];
  for (let n = 0; ids.length < count; n++) {
    if (shardOf(store.handleOf(`id ${n}`), shards) === shard) ids.push(`id ${n}`);
  }
  return ids;
}

/** A connection that notes which messages the store sends about entries, as `read` or `write`. */
function noting(nc: Connection, seen: string[]): Connection {
  return new Proxy(nc, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name !== "publish") return value.bind(target);
      return (subject: string, ...rest: unknown[]) => {
        if (subject.startsWith("$KV.")) seen.push("write");
        else if (/\.GET\./.test(subject)) seen.push("read");
        return value.call(target, subject, ...rest);
      };
    },
  });
}

const all = async <T>(list: AsyncIterable<T>): Promise<T[]> => {
  const items: T[] = [];
  for await (const item of list) items.push(item);
  return items;
};

describe("several buckets as one", () => {
  it("hold the sessions together: each is found, listed, counted and ended", async () => {
    const nc = await stores.connect();
    const bucket = newBucket();
    const store = await stores.openOn(nc, { bucket, shards: 3 });
    const ids = Array.from({ length: 60 }, (_, n) => `id ${n}`);
    await Promise.all(ids.map((id) => store.save(id, { id, user: "ada" })));
    const streams = await streamsOf(nc);
    for (const shard of [0, 1, 2]) {
      const { config, state } = await streams.info(`KV_${bucket}_${shard}`);
      const own = ids.filter((id) => shardOf(store.handleOf(id), 3) === shard);
      const hasIndex = shardOf(store.hashUser("ada"), 3) === shard;
      expect(state.messages).toBe(own.length + Number(hasIndex));
      expect(config.metadata).toMatchObject({ "session-shards": "3", "session-shard": String(shard) });
    }
    const handles = ids.map((id) => store.handleOf(id)).sort();
    for (const id of ids) expect((await store.load(id))?.data).toEqual({ id, user: "ada" });
    expect((await all(store.handles())).sort()).toEqual(handles);
    expect((await all(store.all())).map(({ handle }) => handle).sort()).toEqual(handles);
    expect((await all(store.listByUser("ada"))).map(({ handle }) => handle).sort()).toEqual(handles);
    expect(await store.count()).toBe(61);
    expect(await store.count({ exact: true })).toBe(60);
    expect(await store.check()).toMatchObject({ bucket, feed: "idle" });
    await store.clear();
    expect(await all(store.handles())).toEqual([]);
  });

  it("take a session that gets an id of another bucket, and the old id is worth nothing there", async () => {
    const store = await stores.open({ shards: 3 });
    const [from] = idsIn(store, 0, 3, 1) as [string];
    const [to] = idsIn(store, 2, 3, 1) as [string];
    const { record } = await store.save(from, { user: "ada", n: 1 });
    if (!record) throw new Error("not saved");
    expect((await store.rotate(from, to, { user: "ada", n: 2 }, { record })).outcome).toBe("saved");
    expect(await store.load(from)).toBeNull();
    expect((await store.load(to))?.data).toEqual({ user: "ada", n: 2 });
    expect((await all(store.listByUser("ada"))).map(({ handle }) => handle)).toEqual([store.handleOf(to)]);
    expect((await store.save(from, { n: 3 }, { record })).outcome).toBe("gone");
    expect(await store.destroyByHandle(store.handleOf(from))).toBe(true);
    expect(await store.load(to)).toBeNull();
  });

  it("give a list also the sessions that move to a bucket that it has read", async () => {
    const store = await stores.open({ shards: 3 });
    const [first, last] = [idsIn(store, 0, 3, 20), idsIn(store, 2, 3, 5)];
    const moved = first.splice(10, 5);
    for (const id of [...first, ...last]) await store.save(id, {});
    const list = store.handles();
    const handles = [(await list.next()).value as string];
    for (const [n, id] of last.entries()) {
      const record = await store.load(id);
      if (!record) throw new Error("not stored");
      await store.rotate(id, moved[n] as string, {}, { record });
    }
    handles.push(...(await all(list)));
    expect(handles.sort()).toEqual([...first, ...moved].map((id) => store.handleOf(id)).sort());
  });

  it("take no more messages for a request than one bucket", async () => {
    const requestsOf = async (options: SessionStoreOptions) => {
      const seen: string[] = [];
      const nc = noting(await stores.connect(), seen);
      const store = await stores.openOn(nc, { touchAfter: 0, ...options });
      for (let n = 0; n < 20; n++) {
        const id = `id ${n}`;
        await store.save(id, { n });
        let record = await store.load(id);
        if (!record) throw new Error("not stored");
        ({ record } = await store.save(id, { n: n + 1 }, { record }));
        if (record) await store.touch(id, record, { ttl: 90_000_000 });
        record = await store.load(id);
        if (record) await store.rotate(id, `new ${n}`, { n }, { record });
        await store.destroy(`new ${n}`);
        await store.save(`signed in ${n}`, { user: `user ${n}` });
      }
      return seen;
    };
    expect(await requestsOf({ shards: 8 })).toEqual(await requestsOf({}));
  });

  it("hide an entry that lies in another bucket than it belongs to", async () => {
    const nc = await stores.connect();
    const bucket = newBucket();
    const store = await stores.openOn(nc, { bucket, shards: 3 });
    const [id] = idsIn(store, 0, 3, 1) as [string];
    const headers = {
      "Session-Format": "1",
      "Session-Created": String(Date.now()),
      "Session-Expires": String(Date.now() + 60_000),
      "Session-Write": "create",
    };
    const witness = await Witness.of(store);
    await putEntry(nc, `${bucket}_1`, `s.${store.handleOf(id)}`, "{}", headers);
    await store.save("last", {});
    await witness.until("the last", (changes) => changes.length > 0);
    expect(witness.changes.map(({ handle }) => handle)).toEqual([store.handleOf("last")]);
    expect(await store.load(id)).toBeNull();
    expect(await all(store.handles())).toEqual([store.handleOf("last")]);
  });
});

describe("a number of buckets", () => {
  it.each([1, 2, 4])(
    "that is another one, %d, is refused with both numbers, and nothing is made",
    async (other) => {
      const nc = await stores.connect();
      const bucket = newBucket();
      await stores.openOn(nc, { bucket, shards: 3 });
      for (const createBucket of [true, false]) {
        const opening = stores.openOn(nc, {
          bucket,
          shards: other,
          createBucket,
          updateBucket: createBucket,
        });
        const message = expect.stringMatching(new RegExp(`shards: 3.*shards: ${other}`));
        await expect(opening).rejects.toMatchObject({ code: MISMATCH, message });
      }
      const names = (await all((await streamsOf(nc)).names())).filter((name) => name.includes(bucket));
      expect(names.sort()).toEqual([0, 1, 2].map((shard) => `KV_${bucket}_${shard}`));
    },
  );

  it("is refused where there is one bucket of its own, under the same name or the name of one of several", async () => {
    const nc = await stores.connect();
    for (const end of ["", "_0", "_1"]) {
      const bucket = newBucket();
      await stores.openOn(nc, { bucket: `${bucket}${end}` });
      const opening = stores.openOn(nc, { bucket, shards: 2 });
      const message = expect.stringMatching(/shards: 1.*shards: 2/);
      await expect(opening).rejects.toMatchObject({ code: MISMATCH, message });
    }
  });

  it("keeps one of several from being taken for a bucket of its own", async () => {
    const nc = await stores.connect();
    const bucket = newBucket();
    await stores.openOn(nc, { bucket, shards: 2 });
    const opening = stores.openOn(nc, { bucket: `${bucket}_1` });
    const message = expect.stringMatching(/shards: 2.*shards: 1/);
    await expect(opening).rejects.toMatchObject({ code: MISMATCH, message });
  });

  it("is decided once where processes with different numbers start at the same time", async () => {
    const connections = await Promise.all([1, 2, 3].map(() => stores.connect()));
    for (let round = 0; round < 5; round++) {
      const bucket = newBucket();
      const opening = [2, 3, 5].map((shards, n) =>
        stores.openOn(connections[n] as Connection, { bucket, shards }),
      );
      const results = await Promise.allSettled(opening);
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const result of results) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ code: MISMATCH });
      }
    }
  });
});

describe("one of several buckets that is gone", () => {
  const start = async (options: SessionStoreOptions = {}) => {
    const nc = await stores.connect();
    const bucket = newBucket();
    const create = () => stores.openOn(nc, { bucket, shards: 3 });
    const creator = await create();
    const store = await stores.openOn(nc, { bucket, shards: 3, createBucket: false, ...options });
    const [here, gone] = [idsIn(store, 0, 3, 2), idsIn(store, 1, 3, 2)];
    for (const id of [...here, ...gone]) await creator.save(id, { id });
    await creator.close();
    const remove = async () => (await streamsOf(nc)).delete(`KV_${bucket}_1`);
    return { nc, bucket, store, here, gone, remove, create };
  };

  it("leaves the sessions in the others as they are, and is used again when it is back", async () => {
    const { store, here, gone, remove, create } = await start();
    await remove();
    for (const id of gone) await expect(store.load(id)).rejects.toMatchObject({ code: MISSING });
    for (const id of here) {
      const record = await store.load(id);
      expect(record?.data).toEqual({ id });
      expect((await store.save(id, { id, again: true }, { record: record ?? undefined })).outcome).toBe(
        "saved",
      );
    }
    await expect(store.count()).rejects.toMatchObject({ code: MISSING });
    await create();
    await until("the bucket to be back", async () => {
      const saved = await store.save(gone[0] as string, {}).catch(() => undefined);
      return saved?.outcome === "saved";
    });
    expect(await store.load(gone[1] as string)).toBeNull();
    expect(await store.count({ exact: true })).toBe(3);
  });

  it("is created again where it may be, with a warning that names it", async () => {
    const { store, here, gone, bucket, remove } = await start({ createBucket: true });
    const warnings: string[] = [];
    const onWarning = (warning: Error & { code?: string }) => {
      if (warning.code === "NATS_SESSION_BUCKET_CREATED") warnings.push(warning.message);
    };
    process.on("warning", onWarning);
    onTestFinished(() => void process.off("warning", onWarning));
    await remove();
    expect(await store.load(gone[0] as string)).toBeNull();
    expect((await store.load(here[0] as string))?.data).toEqual({ id: here[0] });
    await until("the warning", () => warnings.length > 0);
    expect(warnings).toEqual([expect.stringContaining(`${bucket}_1`)]);
  });

  it("empties the near cache of its own sessions only", async () => {
    const { store, here, gone, nc, bucket, remove } = await start({
      createBucket: true,
      cache: { maxStale: 60_000 },
    });
    for (const id of [here[0] as string, gone[0] as string]) await warm(store, id);
    const witness = await Witness.of(store);
    await remove();
    const other = await stores.openOn(nc, { bucket, shards: 3 });
    await other.save(gone[1] as string, {});
    await until("missed", () => witness.seen.some(({ type }) => type === "missed"));
    expect(await store.load(gone[0] as string)).toBeNull();
    const { hits } = statsOf(store);
    expect((await store.load(here[0] as string))?.data).toEqual({ id: here[0] });
    expect(statsOf(store).hits).toBe(hits + 1);
  });
});

describe("the feed of several buckets", () => {
  it("says once that it was cut and that it has resumed, with everything that happened meanwhile in between", async () => {
    const server = await startNatsServer();
    onTestFinished(() => server.stop());
    const network = await BadNetwork.start(server.port);
    onTestFinished(() => network.close());
    const bucket = newBucket();
    const connectTo = async (servers: string) => {
      const { connect } = await import("@nats-io/transport-node");
      const options = {
        servers,
        ignoreClusterUpdates: true,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
      };
      const nc = await connect(options);
      onTestFinished(() => nc.close());
      return nc;
    };
    const writer = await stores.openOn(await connectTo(server.url), { bucket, shards: 3 });
    const reader = await stores.openOn(await connectTo(network.url), { bucket, shards: 3 });
    const events: string[] = [];
    const changes = reader.changes();
    void (async () => {
      for await (const event of changes) events.push("handle" in event ? event.handle : event.type);
    })();
    await changes.ready;
    network.cut();
    await until("the cut", () => events.length > 0);
    const ids = Array.from({ length: 12 }, (_, n) => `id ${n}`);
    for (const id of ids) await writer.save(id, {});
    network.mend();
    await until("the end of the cut", () => events.includes("resumed"));
    const handles = ids.map((id) => reader.handleOf(id)).sort();
    expect([events[0], events.slice(1, -1).sort(), events.at(-1)]).toEqual(["cut", handles, "resumed"]);
    await changes.return();
  });

  it("tells the near cache of each change in its bucket", async () => {
    const [one, other] = await stores.openTwo({ shards: 3, cache: { maxStale: 60_000 } });
    const ids = [0, 1, 2].map((shard) => idsIn(one, shard, 3, 1)[0] as string);
    for (const id of ids) await one.save(id, { n: 0 });
    for (const id of ids) await warm(one, id);
    for (const id of ids) await other.save(id, { n: 1 });
    for (const id of ids) await until("the change", async () => (await one.load(id))?.data.n === 1);
  });

  it("goes on over one new connection when that of the store was closed for good", async () => {
    const bucket = newBucket();
    const made: Connection[] = [];
    const connect = async () => {
      const nc = await stores.connect();
      made.push(nc);
      return nc;
    };
    const store = await stores.openOn(connect, { bucket, shards: 3 });
    const other = await stores.open({ bucket, shards: 3 });
    const ids = [0, 1, 2].map((shard) => idsIn(store, shard, 3, 1)[0] as string);
    for (const id of ids) await store.save(id, { n: 0 });
    const witness = await Witness.of(store);
    await made[0]?.close();
    for (const id of ids) expect((await store.load(id))?.data).toEqual({ n: 0 });
    await Promise.all(ids.map((id) => other.save(id, { n: 1 })));
    await witness.until("a change in each bucket", (changes) => {
      return new Set(changes.map(({ handle }) => handle)).size === ids.length;
    });
    expect(made).toHaveLength(2);
    expect(witness.error).toBeUndefined();
  });
});
