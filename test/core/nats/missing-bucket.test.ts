import { jetstreamManager } from "@nats-io/jetstream";
import type { SessionRecord, SessionStoreOptions } from "nats-session-store";
import { SessionAdmin } from "nats-session-store/admin";
import { afterEach, describe, expect, it } from "vitest";
import { shardOf } from "../../../packages/core/src/format/shards.js";
import { PATIENCE } from "../../support/patient.js";
import { type Data, Stores } from "../../support/stores.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";

const stores = new Stores({ connect: connectCurrent });
afterEach(() => stores.close());

const streamsOf = async (nc: Connection) => (await jetstreamManager(nc as never)).streams;

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of list) items.push(item);
  return items;
}

type Store = Awaited<ReturnType<Stores["open"]>>;

/** Opens buckets that another store has created: one creates a bucket at most once a second. */
async function openThere(nc: Connection, options: SessionStoreOptions): Promise<Store> {
  await (await stores.openOn(nc, options)).close();
  return stores.openOn(nc, options);
}

/** Each operation, and what it finds in a bucket that was created a moment ago. */
const operations: Record<string, [operation: (store: Store) => Promise<unknown>, found: unknown]> = {
  load: [(store) => store.load("id"), null],
  save: [async (store) => (await store.save("id", {})).outcome, "saved"],
  destroy: [(store) => store.destroy("id"), false],
  destroyByUser: [(store) => store.destroyByUser("ada"), 0],
  listByUser: [(store) => all(store.listByUser("ada")), []],
  handles: [(store) => all(store.handles()), []],
  all: [(store) => all(store.all()), []],
  count: [(store) => store.count(), 0],
  "exact count": [(store) => store.count({ exact: true }), 0],
  clear: [(store) => store.clear(), undefined],
  check: [async (store) => (await store.check()).feed, "idle"],
};

const layouts: [layout: string, options: SessionStoreOptions][] = [
  ["one bucket", {}],
  ["one bucket, read from its leader", { reads: "leader" }],
  ["three buckets", { shards: 3 }],
];

describe.each(layouts)("a store with %s that was deleted", (_layout, options) => {
  it.each(Object.keys(operations))("creates it again in its next operation: %s", async (name) => {
    const [operate, found] = operations[name] as (typeof operations)[string];
    const nc = await stores.connect();
    const bucket = newBucket();
    const store = await openThere(nc, { bucket, ...options });
    const streams = await streamsOf(nc);
    const names = (await all(streams.names())).filter((stream) => stream.includes(bucket));
    for (const stream of names) await streams.delete(stream);
    expect(await operate(store)).toEqual(found);
    await store.clear();
    expect((await all(streams.names())).filter((stream) => stream.includes(bucket)).sort()).toEqual(
      names.sort(),
    );
  });
});

type Use = (store: Store, record: SessionRecord<Data>) => Promise<unknown>;

/** What each operation finds of a session that was in the bucket before. */
const uses: Record<string, [use: Use, found: unknown]> = {
  load: [(store) => store.load("id"), null],
  save: [async (store, record) => (await store.save("id", { n: 2 }, { record })).outcome, "gone"],
  touch: [async (store, record) => (await store.touch("id", record, { ttl: 90_000_000 })).outcome, "gone"],
  rotate: [async (store, record) => (await store.rotate("id", "new", {}, { record })).outcome, "gone"],
  update: [async (store) => (await store.update("id", () => {})).outcome, "gone"],
  destroy: [(store) => store.destroy("id"), false],
  listByUser: [(store) => all(store.listByUser("ada")), []],
  destroyByUser: [(store) => store.destroyByUser("ada"), 0],
  "sign-in": [async (store) => (await store.save("other", { user: "ada" })).outcome, "saved"],
};

describe.each(layouts)("a store with %s that another process has created again", (_layout, options) => {
  it.each(Object.keys(uses))("finds at once that a session which it knew is gone: %s", async (name) => {
    const [use, found] = uses[name] as (typeof uses)[string];
    const nc = await stores.connect();
    const bucket = newBucket();
    const store = await openThere(nc, { bucket, touchAfter: 0, ...options });
    // So many writes come before it that the new bucket does not reach its number.
    for (let n = 0; n < 20; n++) await store.save(`id ${n}`, { user: "bob" });
    const { record } = await store.save("id", { user: "ada" });
    if (!record) throw new Error("not saved");
    const streams = await streamsOf(nc);
    for await (const stream of streams.names()) if (stream.includes(bucket)) await streams.delete(stream);
    await stores.openOn(nc, { bucket, ...options });
    expect(await use(store, record)).toEqual(found);
  });
});

describe("a list of three buckets", () => {
  const ids = Array.from({ length: 30 }, (_, n) => `id ${n}`);
  const start = async () => {
    const nc = await stores.connect();
    const bucket = newBucket();
    const store = await openThere(nc, { bucket, shards: 3 });
    for (const id of ids) await store.save(id, { id });
    const remove = async (shard: number) => (await streamsOf(nc)).delete(`KV_${bucket}_${shard}`);
    const inShard = (shard: number) => ids.filter((id) => shardOf(store.handleOf(id), 3) === shard);
    return { nc, bucket, store, remove, inShard };
  };

  it("is whole where the first of them is missing when it begins", async () => {
    const { store, remove, inShard } = await start();
    await remove(0);
    const rest = [...inShard(1), ...inShard(2)].map((id) => store.handleOf(id));
    expect((await all(store.handles())).sort()).toEqual(rest.sort());
  });

  const lists: Record<string, (store: Store, admin: SessionAdmin) => AsyncIterator<unknown>> = {
    handles: (store) => store.handles(),
    all: (store) => store.all(),
    "the entries for an operator": (_store, admin) => admin.entries(),
  };
  it.each(Object.keys(lists))(
    "rejects where one of them goes missing while it is read, and never ends as if it were whole: %s",
    async (name) => {
      const { nc, bucket, store, remove } = await start();
      const admin = new SessionAdmin(nc as never, { bucket, shards: 3, timeout: PATIENCE });
      const list = (lists[name] as (typeof lists)[string])(store, admin);
      await list.next();
      await remove(1);
      const rest = async () => {
        while (!(await list.next()).done);
      };
      await expect(rest()).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
      await admin.close();
    },
  );

  it("does not stop the sessions in the others over a new connection either", async () => {
    const { bucket, remove, inShard } = await start();
    const made: Connection[] = [];
    const connect = async () => {
      const nc = await stores.connect();
      made.push(nc);
      return nc;
    };
    const store = await stores.openOn(connect, { bucket, shards: 3, createBucket: false });
    const [here, gone] = [inShard(0)[0] as string, inShard(1)[0] as string];
    await remove(1);
    await expect(store.load(gone)).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
    await made[0]?.close();
    expect((await store.load(here))?.data).toEqual({ id: here });
    expect(made).toHaveLength(2);
  });
});

it.each([1, 3])(
  "a store of %d buckets that is closed before it has a connection creates none",
  async (shards) => {
    const nc = await stores.connect();
    const bucket = newBucket();
    const { SessionStore } = await import("nats-session-store");
    let connected = (_nc: Connection) => {};
    const connecting = new Promise<Connection>((resolve) => {
      connected = resolve;
    });
    const store = new SessionStore(connecting as never, { bucket, shards, timeout: 30_000 });
    const opening = store.ready().catch(({ code }) => code);
    await store.close();
    expect(await opening).toBe("ERR_SESSION_CLOSED");
    connected(nc);
    // What the store asks for leaves over the same connection before the last of these.
    const streams = await streamsOf(nc);
    for (let n = 0; n < 10; n++) await all(streams.names());
    expect((await all(streams.names())).filter((name) => name.includes(bucket))).toEqual([]);
  },
);
