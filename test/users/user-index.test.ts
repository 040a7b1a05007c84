import { Kvm } from "@nats-io/kv";
import type { SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { answered } from "../support/answered.js";
import { openPatient } from "../support/patient.js";
import { newBucket, type Variant, variants } from "../support/variants.js";
import { until, untilTime } from "../support/wait.js";
import { type Data, handlesOf, indexedHandles, listOf, Stores } from "./support.js";

describe.each(variants())("the sessions of a user, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("are listed as soon as a save has returned, to every process", async () => {
    const bucket = newBucket();
    const [one, other] = [await stores.open({ bucket }), await stores.open({ bucket })];
    for (let i = 1; i <= 20; i++) {
      await one.save(`session-${i}`, { user: "ada" });
      expect(await handlesOf(other, "ada")).toContain(one.handleOf(`session-${i}`));
    }
    expect(await listOf(other, "bob")).toEqual([]);
  });

  it("come newest first, each with its data and times", async () => {
    const store = await stores.open();
    const begun = Date.now();
    for (const id of ["first", "second", "third"]) {
      const { record } = await store.save(id, { user: "ada", id }, { ttl: 60_000 });
      // Ages are told apart by the millisecond.
      await untilTime(record?.createdAt ?? 0);
    }
    const loaded = await store.load("first");
    await store.save(
      "first",
      { user: "ada", id: "first, again" },
      { record: loaded ?? undefined, ttl: 90_000 },
    );
    const list = await listOf(store, "ada");
    expect(list.map(({ data }) => data.id)).toEqual(["third", "second", "first, again"]);
    const [third, , first] = list;
    expect(third).toMatchObject({ handle: store.handleOf("third"), createdAt: expect.any(Number) });
    expect(first?.createdAt).toBe(loaded?.createdAt);
    expect(first?.expiresAt).toBeGreaterThan(begun + 89_000);
    expect(first?.lastWriteAt).toBeGreaterThanOrEqual(third?.lastWriteAt ?? 0);
    expect(Math.abs((first?.lastWriteAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it("can be saved and touched with the records that the list gives", async () => {
    const store = await stores.open({ touchAfter: 0 });
    await store.save("one", { user: "ada" });
    const [session] = await listOf(store, "ada");
    if (!session) throw new Error("not listed");
    expect((await store.touch("one", session, { ttl: 90_000_000 })).outcome).toBe("touched");
    expect((await store.save("one", { user: "ada", n: 1 }, { record: session })).outcome).toBe("saved");
  });

  it("are still newest first when they are read in several batches", async () => {
    const store = await stores.open();
    const ids = Array.from({ length: 150 }, (_, i) => `session-${i}`);
    await Promise.all(ids.map((id) => store.save(id, { user: "ada", id })));
    const list = await listOf(store, "ada");
    expect(list.map(({ data }) => data.id).sort()).toEqual([...ids].sort());
    const ages = list.map(({ createdAt }) => createdAt);
    expect(ages).toEqual([...ages].sort((a, b) => b - a));
  });

  it("leave the list when they are destroyed, with and without being asked by handle", async () => {
    const store = await stores.open();
    for (const id of ["one", "two", "three"]) await store.save(id, { user: "ada" });
    await store.destroy("one");
    expect(await store.destroyHandle(store.handleOf("two"))).toBe(true);
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("three")]);
    expect(await store.destroyHandle(store.handleOf("two"))).toBe(false);
  });

  it("leave the list when their time is over", async () => {
    const store = await stores.open();
    await store.save("short", { user: "ada" }, { ttl: 300 });
    await store.save("long", { user: "ada" });
    await until("one session left", async () => (await listOf(store, "ada")).length === 1);
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("long")]);
  });

  it("move to who signs in, and to nobody when `user` says so", async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    let { record } = await store.save("one", { user: "ada" });
    ({ record } = await store.save("one", { user: "bob" }, { record: record ?? undefined }));
    expect(await handlesOf(store, "bob")).toEqual([store.handleOf("one")]);
    expect(await handlesOf(store, "ada")).toEqual([]);
    await store.save("one", {}, { record: record ?? undefined });
    expect(await handlesOf(store, "bob")).toEqual([]);
    expect((await store.load("one"))?.data).toEqual({});
    // What was left is taken out of the index, too.
    const nc = await stores.connect();
    await until("both entries gone", async () => {
      const left = await Promise.all(["ada", "bob"].map((name) => indexedHandles(nc, bucket, store, name)));
      return left.flat().length === 0;
    });
  });

  it("stay with the right user when two requests sign the same session in at once", async () => {
    const bucket = newBucket();
    const [one, other] = [await stores.open({ bucket }), await stores.open({ bucket })];
    for (let i = 0; i < 30; i++) {
      const id = `session-${i}`;
      const { record } = await one.save(id, {});
      const both = await Promise.all([
        one.save(id, { user: "ada" }, { record: record ?? undefined }),
        other.load(id).then((loaded) => other.save(id, { user: "bob" }, { record: loaded ?? undefined })),
      ]);
      expect(both.map(({ outcome }) => outcome)).not.toContain("gone");
      const owner = (await one.load(id))?.data.user as string;
      const wrong = owner === "ada" ? "bob" : "ada";
      expect(await handlesOf(one, owner)).toContain(one.handleOf(id));
      expect(await handlesOf(one, wrong)).not.toContain(one.handleOf(id));
    }
  });

  it.each(["*", ">", "a.b.c", " ", "ada@example.com", "Ä€𝄞", "\u0000", "x".repeat(10_000), "\ud800"])(
    "may belong to somebody with any name: %j",
    async (name) => {
      const store = await stores.open();
      await store.save("other", { user: "somebody else" });
      await store.save("one", { user: name });
      expect(await handlesOf(store, name)).toEqual([store.handleOf("one")]);
      expect(await store.destroyOf(name)).toBe(1);
      expect(await handlesOf(store, "somebody else")).toHaveLength(1);
    },
  );

  it("of another prefix are others", async () => {
    const bucket = newBucket();
    const [shop, blog] = [
      await stores.open({ bucket, prefix: "shop" }),
      await stores.open({ bucket, prefix: "blog" }),
    ];
    await shop.save("one", { user: "ada" });
    await blog.save("two", { user: "ada" });
    expect(await handlesOf(shop, "ada")).toEqual([shop.handleOf("one")]);
    expect(await blog.destroyHandle(blog.handleOf("one"), { user: "ada" })).toBe(false);
    expect(await blog.destroyOf("ada")).toBe(1);
    expect(await handlesOf(shop, "ada")).toEqual([shop.handleOf("one")]);
    expect(await handlesOf(blog, "ada")).toEqual([]);
  });

  it("are taken in at their next save or touch when `user` is turned on", async () => {
    const bucket = newBucket();
    const before = await openPatient<Data>(await stores.connect(), { bucket });
    await before.save("saved", { user: "ada" });
    await before.save("touched", { user: "ada" });
    const store = await stores.open({ bucket, touchAfter: 0 });
    expect(await handlesOf(store, "ada")).toEqual([]);
    const [saved, touched] = [await store.load("saved"), await store.load("touched")];
    if (!saved || !touched) throw new Error("not found");
    await store.save("saved", { user: "ada" }, { record: saved });
    // A touch goes by what is stored, not by what was made of it since.
    touched.data.user = "mallory";
    await store.touch("touched", touched, { ttl: 90_000_000 });
    expect((await handlesOf(store, "ada")).sort()).toEqual([saved.handle, touched.handle].sort());
    expect(await handlesOf(store, "mallory")).toEqual([]);
  });

  it("stay theirs when a store without `user` saves and touches them", async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    const plain = await openPatient<Data>(await stores.connect(), { bucket, touchAfter: 0 });
    await store.save("one", { user: "ada" });
    const record = await plain.load("one");
    if (!record) throw new Error("not found");
    const saved = await plain.save("one", { user: "ada", n: 1 }, { record });
    if (saved.record) await plain.touch("one", saved.record, { ttl: 90_000_000 });
    expect((await listOf(store, "ada")).map(({ data }) => data.n)).toEqual([1]);
    await expect(plain.listOf("ada").next()).rejects.toThrow(/`user`/);
    await expect(plain.destroyOf("ada")).rejects.toThrow(TypeError);
    expect(await plain.destroyHandle(record.handle, { user: "ada" })).toBe(true);
  });
});

describe.each(variants())("ending sessions of a user, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("by handle ends nobody else's", async () => {
    const store = await stores.open();
    await store.save("ada's", { user: "ada" });
    await store.save("nobody's", {});
    for (const id of ["ada's", "nobody's"]) {
      expect(await store.destroyHandle(store.handleOf(id), { user: "bob" })).toBe(false);
      expect(await store.load(id)).not.toBeNull();
    }
    expect(await store.destroyHandle(store.handleOf("ada's"), { user: "ada" })).toBe(true);
    expect(await store.destroyHandle(store.handleOf("nobody's"))).toBe(true);
  });

  it("by what is no handle ends none", async () => {
    const store = await stores.open();
    await store.save("one", { user: "ada" });
    for (const junk of ["", "*", ">", "one", "a.b", "x".repeat(43), "x".repeat(10_000)]) {
      expect(await store.destroyHandle(junk)).toBe(false);
      expect(await store.destroyHandle(junk, { user: "ada" })).toBe(false);
    }
    for (const junk of [undefined, null, 5, {}, ["x".repeat(43)]]) {
      await expect(store.destroyHandle(junk as never)).rejects.toThrow(TypeError);
    }
    await expect(store.destroyHandle(store.handleOf("one"), { user: 5 as never })).rejects.toThrow(TypeError);
    expect(await handlesOf(store, "ada")).toHaveLength(1);
  });

  it("all at once says how many there were", async () => {
    const store = await stores.open();
    await Promise.all(Array.from({ length: 100 }, (_, i) => store.save(`session-${i}`, { user: "ada" })));
    await store.save("bob's", { user: "bob" });
    expect(await store.destroyOf("ada")).toBe(100);
    expect(await store.destroyOf("ada")).toBe(0);
    expect(await handlesOf(store, "ada")).toEqual([]);
    expect(await handlesOf(store, "bob")).toHaveLength(1);
  });

  it("all but one leaves that one", async () => {
    const store = await stores.open();
    for (const id of ["one", "two", "three"]) await store.save(id, { user: "ada" });
    expect(await store.destroyOf("ada", { except: store.handleOf("two") })).toBe(2);
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("two")]);
    expect(await store.destroyOf("ada", { except: "no handle" })).toBe(1);
  });

  it("ends one that is given another id meanwhile", async () => {
    const bucket = newBucket();
    const [one, other] = [await stores.open({ bucket }), await stores.open({ bucket })];
    for (let i = 0; i < 40; i++) {
      const name = `user-${i}`;
      const { record } = await one.save(`${name} old`, { user: name });
      if (!record) throw new Error("not saved");
      await Promise.all([
        one.rotate(`${name} old`, `${name} new`, record.data, { record }),
        other.destroyOf(name),
      ]);
      for (const id of ["old", "new"]) expect(await one.load(`${name} ${id}`)).toBeNull();
      expect(await handlesOf(other, name)).toEqual([]);
    }
  });
});

describe.each(variants())("an index entry whose session never came, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const enter = async (bucket: string, store: SessionStore<Data>, name: string, handle: string) => {
    const kv = await new Kvm((await stores.connect()) as never).open(bucket);
    await kv.put(`u.${store.ownerOf(name)}.${handle}`, "");
  };

  it("misleads nobody, and goes when it is met later", { timeout: 90_000 }, async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    // What counts as left behind is counted in timeouts. On a busy machine this one may fail now and then.
    const timeout = 150;
    const hasty = await answered(() => stores.open({ bucket, timeout }));
    const nc = await stores.connect();
    await store.save("one", { user: "ada" });
    await store.save("bob's", { user: "bob" });
    const [lost, bobs] = [store.handleOf("never stored"), store.handleOf("bob's")];
    for (const handle of [lost, bobs]) await enter(bucket, store, "ada", handle);
    const enteredAt = Date.now();
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("one")]);
    expect(await indexedHandles(nc, bucket, store, "ada")).toHaveLength(3);
    await untilTime(enteredAt + 30 * timeout);
    await until(
      "the entries left behind are gone",
      async () => {
        await handlesOf(hasty, "ada").catch(() => {});
        expect(await handlesOf(store, "ada")).toEqual([store.handleOf("one")]);
        return (await indexedHandles(nc, bucket, store, "ada")).length === 1;
      },
      60_000,
    );
    await enter(bucket, store, "ada", bobs);
    expect(await store.destroyOf("ada")).toBe(1);
    expect(await store.load("bob's")).not.toBeNull();
  });
});
