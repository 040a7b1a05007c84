import { jetstreamManager } from "@nats-io/jetstream";
import type { SessionStoreOptions } from "nats-session-store";
import { afterEach, describe, expect, it } from "vitest";
import { shardOf } from "../../../packages/core/src/format/shards.js";
import { encryptionBy } from "../../support/keys.js";
import { putEntry } from "../../support/put-entry.js";
import { RawBucket } from "../../support/raw-bucket.js";
import { idsIn } from "../../support/shards.js";
import { Stores } from "../../support/stores.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";
import { Witness } from "../../support/witness.js";

const stores = new Stores({ connect: connectCurrent });
afterEach(() => stores.close());

const streamsOf = async (nc: Connection) => (await jetstreamManager(nc as never)).streams;

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

  it("bind an encrypted value to its session: a copy in another bucket is no session, or a corrupt one", async () => {
    const nc = await stores.connect();
    const bucket = newBucket();
    const store = await stores.openOn(nc, { bucket, shards: 3, encryption: encryptionBy("k1") });
    const [copied] = idsIn(store, 0, 3, 1) as [string];
    const [other] = idsIn(store, 1, 3, 1) as [string];
    await store.save(copied, { user: "ada" });
    await store.save(other, { user: "ada" });
    const [from, to] = [new RawBucket(nc, `${bucket}_0`), new RawBucket(nc, `${bucket}_1`)];
    const keyOf = (id: string) => `s.${store.handleOf(id)}`;
    const copy = await from.get(keyOf(copied));
    await to.put(keyOf(copied), copy);
    expect(await store.count({ exact: true })).toBe(2);
    expect(await store.destroy(copied)).toBe(true);
    expect(await store.load(copied)).toBeNull();
    expect(await all(store.handles())).toEqual([store.handleOf(other)]);
    expect((await all(store.listByUser("ada"))).map(({ handle }) => handle)).toEqual([store.handleOf(other)]);
    expect(await store.destroyByHandle(store.handleOf(copied))).toBe(false);
    await to.put(keyOf(other), copy);
    await expect(store.load(other)).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
    expect(await store.destroy(other)).toBe(true);
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
