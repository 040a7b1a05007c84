import type { SaveResult, SessionStore, SessionStoreOptions } from "nats-session-store";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { putEntry } from "../support/put-entry.js";
import { type Connection, newBucket, type Variant, variants } from "../support/variants.js";
import { untilTime } from "../support/wait.js";

for (const variant of variants()) {
  describe(`listing over ${variant.name}`, () => listing(variant));
}

function listing(variant: Variant): void {
  let nc: Connection;
  const stores: SessionStore[] = [];

  beforeAll(async () => {
    nc = await variant.connect();
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
  });
  afterAll(() => nc.close());

  async function open(options: SessionStoreOptions = {}): Promise<SessionStore> {
    const store = await openPatient(nc, { bucket: newBucket(), touchAfter: 0, ...options });
    stores.push(store);
    return store;
  }

  const fill = (store: SessionStore, ids: string[]) => Promise.all(ids.map((id) => store.save(id, { id })));
  const handles = (store: SessionStore, ids: string[]) => ids.map((id) => store.handleOf(id)).sort();

  it("an empty bucket has none", async () => {
    const store = await open();
    expect(await collect(store.ids())).toEqual([]);
    expect(await collect(store.all())).toEqual([]);
    expect([await store.count(), await store.count({ exact: true })]).toEqual([0, 0]);
    await store.clear();
  });

  it("ids gives handles, all gives records that a save or touch takes", async () => {
    const store = await open();
    await fill(store, ["one"]);
    expect(await collect(store.ids())).toEqual([store.handleOf("one")]);
    const [record] = await collect(store.all());
    expect(record).toEqual(await store.load("one"));
    const { outcome } = await store.save("one", { id: "new" }, { record });
    expect(outcome).toBe("saved");
  });

  it("3 000 sessions are each there exactly once", async () => {
    const store = await open();
    const ids = names(3000);
    await fill(store, ids);
    expect((await collect(store.ids())).sort()).toEqual(handles(store, ids));
    const data = (await collect(store.all())).map((record) => record.data.id);
    expect(data.sort()).toEqual([...ids].sort());
    expect([await store.count(), await store.count({ exact: true })]).toEqual([3000, 3000]);
  });

  it("none is missed and none comes twice while others save, touch, begin and end all the time", async () => {
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
      const found = await collect(store.ids());
      expect(new Set(found).size).toBe(found.length);
      expect(expected.filter((handle) => !found.includes(handle))).toEqual([]);
    }
    going = false;
    await Promise.all(busy);
  });

  it("a few that are written without a pause are found each time", async () => {
    const bucket = newBucket();
    const store = await open({ bucket });
    const ids = names(3);
    await fill(store, [...ids, "quiet"]);
    let going = true;
    const busy = ids.map(async (id) => {
      while (going) await store.save(id, { n: 1 });
    });
    const counts: number[] = [];
    for (let round = 0; round < 50; round++) counts.push((await collect(store.ids())).length);
    going = false;
    await Promise.all(busy);
    expect(counts).toEqual(Array(50).fill(4));
  });

  it("what has ended is not listed", async () => {
    const store = await open();
    await fill(store, ["live", "destroyed"]);
    expect(await store.count({ exact: true })).toBe(2);
    await store.destroy("destroyed");
    expect(await store.count({ exact: true })).toBe(1);
    const { record } = await store.save("expired", {}, { ttl: 300 });
    await untilTime(record?.expiresAt as number);
    expect(await collect(store.ids())).toEqual([store.handleOf("live")]);
    expect((await collect(store.all())).map(({ data }) => data.id)).toEqual(["live"]);
    expect(await store.count({ exact: true })).toBe(1);
  });

  it("count counts the entries of the bucket, count exact the live sessions", async () => {
    const bucket = newBucket();
    const store = await open({ bucket, prefix: "one" });
    const other = await open({ bucket, prefix: "two" });
    await fill(store, names(5));
    await fill(other, names(2));
    await store.destroy("session-0");
    expect(await store.count()).toBe(7);
    expect(await store.count({ exact: true })).toBe(4);
    expect(await other.count({ exact: true })).toBe(2);
  });

  it("entries that cannot be read are left out and hide no other", async () => {
    const bucket = newBucket();
    const store = await open({ bucket });
    const ids = names(20);
    await fill(store, ids);
    const puts: Promise<void>[] = [];
    const put = (key: string, value: string, list: Record<string, string> = {}) =>
      puts.push(putEntry(nc, bucket, key, value, list));
    const session = { "Session-Format": "1", "Session-Created": "1", "Session-Expires": "4102444800000" };
    put(`s.${store.handleOf("no headers")}`, "{}");
    put(`s.${store.handleOf("newer")}`, "{}", {
      ...session,
      "Session-Format": "2",
      "Session-Write": "create",
    });
    put(`s.${store.handleOf("no JSON")}`, "{", { ...session, "Session-Write": "create" });
    put("s.short", "{}", { ...session, "Session-Write": "create" });
    put("s.a.b", "{}", { ...session, "Session-Write": "create" });
    put("elsewhere", "{}", { ...session, "Session-Write": "create" });
    await Promise.all(puts);
    const data = (await collect(store.all())).map((record) => record.data.id);
    expect(data.sort()).toEqual([...ids].sort());
    const listed = await collect(store.ids());
    expect(listed).toEqual(expect.arrayContaining(handles(store, ids)));
    expect(listed).not.toContain("short");
    expect(listed).not.toContain(store.handleOf("newer"));
  });

  it("a prefix among many foreign entries sees its own alone", async () => {
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
    expect((await collect(store.ids())).sort()).toEqual(handles(store, own));
    await store.clear();
    expect(await collect(store.ids())).toEqual([]);
    expect([await bare.count({ exact: true }), await longer.count({ exact: true })]).toEqual([1000, 1000]);
  });

  it("clear ends every session, and what was loaded before does not bring one back", async () => {
    const store = await open();
    const ids = names(300);
    await fill(store, ids);
    const record = (await store.load("session-7")) ?? undefined;
    await store.clear();
    expect(await store.count({ exact: true })).toBe(0);
    expect(await Promise.all(ids.map((id) => store.load(id)))).toEqual(Array(300).fill(null));
    expect(await store.save("session-7", { n: 2 }, { record })).toEqual({ outcome: "gone", record: null });
    expect(await store.touch("session-7", record as never)).toEqual({ outcome: "gone", record: null });
    expect(await store.load("session-7")).toBeNull();
  });

  it("clear ends what others keep writing, too", async () => {
    const store = await open();
    for (let round = 0; round < 15; round++) {
      let going = true;
      const ids = names(3);
      const begun = await Promise.all(ids.map((id) => store.save(id, { n: 0 })));
      const busy = ids.map(async (id, i) => {
        let { record, outcome } = begun[i] as SaveResult;
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

  it("a loop that is left early leaves nothing behind", async () => {
    const store = await open();
    await fill(store, names(500));
    const subscriptions = () =>
      (nc as unknown as { protocol: { subscriptions: { size(): number } } }).protocol.subscriptions.size();
    const before = subscriptions();
    for (let round = 0; round < 20; round++) {
      for await (const _ of store.all()) break;
      for await (const _ of store.ids()) break;
    }
    expect(subscriptions()).toBe(before);
    await store.close();
  });

  it("goes at the reader's pace, and an end of the store in between is told", async () => {
    const store = await open();
    await fill(store, names(500));
    const list = store.ids();
    await list.next();
    await store.close();
    await expect(collect(list)).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
  });
}

function names(count: number, start = "session"): string[] {
  return Array.from({ length: count }, (_, n) => `${start}-${n}`);
}

async function collect<T>(list: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of list) all.push(each);
  return all;
}
