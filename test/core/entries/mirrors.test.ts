import type { SessionStore } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Mirror } from "../../support/mirror.js";
import { type Data, handlesOf, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variants } from "../../support/variants.js";
import { until } from "../../support/wait.js";

/** So many reads that the mirror answers some of them: it answers half. */
const OFTEN = 40;

async function often<T>(read: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let n = 0; n < OFTEN; n++) results.push(await read());
  return results;
}

const ids = Array.from({ length: 30 }, (_, n) => `id${n}`);

describe.each(variants())("a bucket with a mirror that answers reads, over $name,", (variant: Variant) => {
  let stores: Stores;
  let bucket: string;
  let here: SessionStore<Data>;
  let there: SessionStore<Data>;

  beforeEach(async () => {
    stores = new Stores(variant);
    bucket = newBucket();
    here = await stores.open({ bucket });
    there = await stores.open({ bucket });
  });
  afterEach(async () => {
    await Promise.all([here.close(), there.close()]);
    await stores.close();
  });

  const mirror = async (pattern?: string) => Mirror.of(await stores.connect(), bucket, pattern);

  describe("of other keys than the store's,", () => {
    beforeEach(async () => {
      const other = await stores.open({ bucket, prefix: "other" });
      await other.save("id", {});
      await mirror("other.>");
      await other.close();
    });

    it("finds every session that it holds, through each store", async () => {
      await Promise.all(ids.map((id) => here.save(id, { id })));
      for (const store of [here, there]) {
        for (const id of ids) expect((await store.load(id))?.data).toEqual({ id });
      }
    });

    it("lists and counts every session, and ends every one", async () => {
      await Promise.all(ids.map((id) => here.save(id, { user: "ada" })));
      expect(await there.count({ exact: true })).toBe(ids.length);
      expect(await handlesOf(there, "ada")).toHaveLength(ids.length);
      expect(await there.destroyByUser("ada", { except: there.handleOf("id0") })).toBe(ids.length - 1);
      await there.clear();
      expect(await Promise.all(ids.map((id) => here.load(id)))).toEqual(ids.map(() => null));
    });

    it("keeps every change of a session that two stores save at the same time", async () => {
      await here.save("id", {});
      await Promise.all(
        [here, there].flatMap((store, n) =>
          Array.from({ length: 10 }, async (_, i) => {
            const record = await store.load("id");
            await store.save("id", { ...record?.data, [`${n}-${i}`]: 1 }, { record: record as never });
          }),
        ),
      );
      expect(Object.keys((await here.load("id"))?.data ?? {})).toHaveLength(20);
    });
  });

  describe("that lags behind,", () => {
    let copy: Mirror;
    beforeEach(async () => {
      // A mirror of server 2.10 takes only what was written since it is there.
      await there.save("first", {});
      copy = await mirror();
    });

    it("gives a store nothing older than what it has written", async () => {
      const { record } = await here.save("id", { n: 1 });
      await copy.seal();
      await here.save("id", { n: 2 }, { record: record as never });
      const read = await often(() => here.load("id"));
      expect(new Set(read.map((found) => found?.data.n))).toEqual(new Set([2]));
    });

    it("gives a store no session that it has ended", async () => {
      await here.save("id", { user: "ada" });
      await here.save("id2", { user: "ada" });
      await copy.seal();
      await here.destroy("id");
      await here.destroyByUser("ada");
      expect(new Set(await often(() => here.load("id")))).toEqual(new Set([null]));
      expect(new Set(await often(() => here.load("id2")))).toEqual(new Set([null]));
      expect(await handlesOf(here, "ada")).toEqual([]);
    });

    it("gives a store no session that it has found ended when it wanted to end it", async () => {
      for (const id of ids) await here.save(id, {});
      await copy.seal();
      // It has heard of none of them.
      const fresh = await stores.open({ bucket });
      for (const id of ids) await there.destroy(id);
      for (const id of ids) expect(await fresh.destroy(id)).toBe(false);
      for (const id of ids) expect(await fresh.load(id)).toBeNull();
      await fresh.close();
    });

    it("hides no session that another store has begun, also under the id of an ended one", async () => {
      await there.save("again", { n: 1 });
      await there.destroy("again");
      await copy.seal();
      await there.save("again", { n: 2 });
      await there.save("new", { n: 2 });
      for (const id of ["again", "new"]) {
        const fresh = await stores.open({ bucket });
        expect(await often(async () => (await fresh.load(id))?.data.n)).toEqual(Array(OFTEN).fill(2));
        await fresh.close();
      }
    });

    it("lets no session expire that another store has renewed", async () => {
      const { record } = await there.save("id", { n: 1 }, { ttl: 3000 });
      await copy.seal();
      await there.touch("id", record as never, { ttl: 600_000 });
      await until("the first expiry", () => Date.now() > (record?.expiresAt ?? 0));
      expect(await often(async () => (await here.load("id"))?.data.n)).toEqual(Array(OFTEN).fill(1));
    });

    it("loses no change of a store that it shows an older state", async () => {
      const { record } = await there.save("id", { user: "ada", a: 1 });
      await copy.seal();
      await there.save("id", { user: "ada", a: 1, b: 1 }, { record: record as never });
      for (let n = 0; n < OFTEN / 4; n++) {
        const store = await stores.open({ bucket });
        const found = await store.load("id");
        await store.save("id", { ...found?.data, [`key${n}`]: n }, { record: found as never });
        await store.close();
      }
      const own = Object.fromEntries(Array.from({ length: OFTEN / 4 }, (_, n) => [`key${n}`, n]));
      expect((await there.load("id"))?.data).toEqual({ user: "ada", a: 1, b: 1, ...own });
    });

    it("leaves no session out of lists and ends, nor an ended one in", async () => {
      await Promise.all(ids.map((id) => there.save(id, { user: "ada" })));
      await copy.seal();
      await Promise.all(ids.slice(20).map((id) => there.destroy(id)));
      await Promise.all(ids.map((id) => there.save(`later-${id}`, { user: "ada" })));
      expect(await here.count({ exact: true })).toBe(1 + 20 + ids.length);
      expect(await handlesOf(here, "ada")).toHaveLength(20 + ids.length);
      expect(await here.destroyByUser("ada")).toBe(20 + ids.length);
      expect(await there.count({ exact: true })).toBe(1);
      await there.save("last", {});
      await here.clear();
      expect(await there.load("last")).toBeNull();
    });

    it("gives a near cache nothing that it keeps, of a session that was ended or changed elsewhere", async () => {
      const cached = await stores.open({ bucket, cache: { maxStale: 60_000 } });
      await there.save("ended", { n: 1 });
      const { record } = await there.save("changed", { n: 1 });
      await copy.seal();
      await cached.load("ended");
      const changes = cached.changes();
      await changes.ready;
      await there.destroy("ended");
      const { record: last } = await there.save("changed", { n: 2 }, { record: record as never });
      for await (const event of changes) if ("revision" in event && event.revision === last?.revision) break;
      expect(new Set(await often(() => cached.load("ended")))).toEqual(new Set([null]));
      expect(new Set(await often(async () => (await cached.load("changed"))?.data.n))).toEqual(new Set([2]));
      await cached.close();
    });
  });
});
