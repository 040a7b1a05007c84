import type { SaveResult, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { stopClock } from "../../support/clock.js";
import { putEntry } from "../../support/put-entry.js";
import { bucketOf } from "../../support/shards.js";
import { type Data, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variantsAndShards } from "../../support/variants.js";

type Store = SessionStore<Data>;

const names = (count: number, start = "session") => Array.from({ length: count }, (_, n) => `${start}-${n}`);
const fill = (store: Store, ids: string[]) => Promise.all(ids.map((id) => store.save(id, { id })));
const handles = (store: Store, ids: string[]) => ids.map((id) => store.handleOf(id)).sort();

/** The more was overwritten, the longer server 2.10 searches for what is left: each round more than the one before. */
const roundsOver = ({ ttls }: Variant, count: number) => (ttls ? count : count / 5);

async function collect<T>(list: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of list) all.push(each);
  return all;
}

describe.each(variantsAndShards())("a listing over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  const open = (options = {}) => stores.open({ touchAfter: 0, ...options });
  afterAll(() => stores.close());

  it("of an empty bucket is empty", async () => {
    const store = await open();
    expect([await collect(store.handles()), await collect(store.all())]).toEqual([[], []]);
    expect([await store.count(), await store.count({ exact: true })]).toEqual([0, 0]);
    await store.clear();
  });

  it("gives records that a save takes", async () => {
    const store = await open();
    await fill(store, ["one"]);
    const [record] = await collect(store.all());
    expect(record).toEqual(await store.load("one"));
    expect((await store.save("one", { id: "new" }, { record })).outcome).toBe("saved");
  });

  it("gives each of 3 000 sessions exactly once", async () => {
    const store = await open();
    const ids = names(3000);
    await fill(store, ids);
    expect((await collect(store.handles())).sort()).toEqual(handles(store, ids));
    const data = (await collect(store.all())).map((record) => record.data.id);
    expect(data.sort()).toEqual([...ids].sort());
    expect([await store.count(), await store.count({ exact: true })]).toEqual([3000, 3000]);
  });

  it("misses no session and gives none twice while others are saved, touched, begun and ended", async () => {
    const bucket = newBucket();
    const store = await open({ bucket });
    const ids = names(1000);
    await fill(store, ids);
    const expected = handles(store, ids);
    let going = true;
    const busy = Array.from({ length: 3 }, async (_, n) => {
      const other = await open({ bucket });
      for (let i = n; going; i += 7) {
        const id = ids[i % ids.length] as string;
        const record = await other.load(id);
        if (record && i % 2 === 0) await other.save(id, { id, i }, { record });
        else if (record) await other.touch(id, record);
        const passing = `passing-${n}-${i}`;
        await other.save(passing, {});
        await other.destroy(passing);
      }
    });
    for (let round = 0; round < 5; round++) {
      const found = await collect(store.handles());
      expect(new Set(found).size).toBe(found.length);
      expect(expected.filter((handle) => !found.includes(handle))).toEqual([]);
    }
    going = false;
    await Promise.all(busy);
  });

  it("finds a few sessions each time although they are written without a pause", async () => {
    const store = await open();
    const ids = names(3);
    await fill(store, [...ids, "quiet"]);
    let going = true;
    const busy = ids.map(async (id) => {
      while (going) await store.save(id, { n: 1 });
    });
    const rounds = roundsOver(variant, 50);
    const counts: number[] = [];
    for (let round = 0; round < rounds; round++) counts.push((await collect(store.handles())).length);
    going = false;
    await Promise.all(busy);
    expect(counts).toEqual(Array(rounds).fill(4));
  });

  it("leaves out what was destroyed or has expired, which `count()` may count", async () => {
    const clock = stopClock();
    const store = await open();
    await fill(store, ["live", "destroyed"]);
    await store.destroy("destroyed");
    const { record } = await store.save("expired", {}, { ttl: 60_000 });
    clock.advanceTo(record?.expiresAt as number);
    expect(await collect(store.handles())).toEqual([store.handleOf("live")]);
    expect((await collect(store.all())).map(({ data }) => data.id)).toEqual(["live"]);
    expect(await store.count({ exact: true })).toBe(1);
    expect(await store.count()).toBe(3);
  });

  it("leaves out entries that cannot be read, which hide no other", async () => {
    const bucket = newBucket();
    const store = await open({ bucket });
    const nc = await stores.connect();
    const ids = names(20);
    await fill(store, ids);
    const session = {
      "Session-Format": "1",
      "Session-Created": "1",
      "Session-Expires": "4102444800000",
      "Session-Write": "create",
    };
    const put = (id: string, value: string, headers?: Record<string, string>) => {
      const handle = store.handleOf(id);
      return putEntry(nc, bucketOf(bucket, handle, variant.shards), `s.${handle}`, value, headers);
    };
    await Promise.all([
      put("no headers", "{}"),
      put("newer", "{}", { ...session, "Session-Format": "2" }),
      put("no JSON", "{", session),
      ...["s.short", "s.a.b", "elsewhere"].map((other) =>
        putEntry(nc, bucketOf(bucket, other, variant.shards), other, "{}", session),
      ),
    ]);
    const data = (await collect(store.all())).map((record) => record.data.id);
    expect(data.sort()).toEqual([...ids].sort());
    const listed = await collect(store.handles());
    expect(listed).toEqual(expect.arrayContaining(handles(store, ids)));
    for (const other of ["short", store.handleOf("newer")]) expect(listed).not.toContain(other);
  });

  it("with a prefix sees its own sessions only, among many others", async () => {
    const bucket = newBucket();
    const [store, longer, bare] = await Promise.all([
      open({ bucket, prefix: "app" }),
      open({ bucket, prefix: "app.s" }),
      open({ bucket }),
    ]);
    await fill(bare, names(1000));
    await fill(store, names(3, "a"));
    await fill(longer, names(1000, "b"));
    await fill(store, names(3, "c"));
    const own = [...names(3, "a"), ...names(3, "c")];
    expect((await collect(store.handles())).sort()).toEqual(handles(store, own));
    expect(await store.count()).toBe(2006);
    await store.clear();
    expect(await collect(store.handles())).toEqual([]);
    expect([await bare.count({ exact: true }), await longer.count({ exact: true })]).toEqual([1000, 1000]);
  });

  it("that is left early leaves nothing behind, and one that goes on rejects once the store is closed", async () => {
    const nc = await stores.connect();
    const store = await open();
    await fill(store, names(500));
    const subscriptions = () =>
      (nc as unknown as { protocol: { subscriptions: { size(): number } } }).protocol.subscriptions.size();
    const before = subscriptions();
    for (let round = 0; round < 20; round++) {
      for await (const _ of store.all()) break;
      for await (const _ of store.handles()) break;
    }
    expect(subscriptions()).toBe(before);
    const list = store.handles();
    await list.next();
    await store.close();
    await expect(collect(list)).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
  });
});

describe.each(variantsAndShards())("clear over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("ends every session, and records from before bring none back", async () => {
    const store = await stores.open({ touchAfter: 0 });
    const ids = names(300);
    await fill(store, ids);
    const record = (await store.load("session-7")) ?? undefined;
    await store.clear();
    expect(await store.count({ exact: true })).toBe(0);
    expect(await Promise.all(ids.map((id) => store.load(id)))).toEqual(Array(300).fill(null));
    const gone = { outcome: "gone", record: null };
    expect(await store.save("session-7", { n: 2 }, { record })).toEqual(gone);
    expect(await store.touch("session-7", record as never)).toEqual(gone);
    expect(await store.load("session-7")).toBeNull();
  });

  it("ends sessions that are written without a pause", async () => {
    const store = await stores.open();
    for (let round = 0; round < roundsOver(variant, 15); round++) {
      let going = true;
      const ids = names(3);
      const begun = await Promise.all(ids.map((id) => store.save(id, { n: 0 })));
      const busy = ids.map(async (id, i) => {
        let { record, outcome } = begun[i] as SaveResult<Data>;
        for (let n = 1; going && outcome !== "gone"; n++) {
          ({ record, outcome } = await store.save(id, { n }, { record: record ?? undefined }));
        }
      });
      await fill(store, names(5, "quiet"));
      await store.clear();
      going = false;
      await Promise.all(busy);
      expect(await store.count({ exact: true })).toBe(0);
    }
  });
});
