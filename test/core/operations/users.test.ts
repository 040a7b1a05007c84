import { Kvm } from "@nats-io/kv";
import { afterAll, describe, expect, it } from "vitest";
import { stopClock } from "../../support/clock.js";
import { openPatient } from "../../support/patient.js";
import { type Data, handlesOf, Stores, sessionsOf } from "../../support/stores.js";
import { newBucket, type Variant, variants, variantsAndShards } from "../../support/variants.js";
import { until } from "../../support/wait.js";

describe.each(variants())("the sessions of a user over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("are listed in every process as soon as a save has returned", async () => {
    const [one, other] = await stores.openTwo();
    for (let i = 1; i <= 20; i++) {
      await one.save(`session-${i}`, { user: "ada" });
      expect(await handlesOf(other, "ada")).toContain(one.handleOf(`session-${i}`));
    }
    expect(await sessionsOf(other, "bob")).toEqual([]);
  });

  it("are listed newest first with their data and times, as records that a save and a touch take", async () => {
    const store = await stores.open({ touchAfter: 0 });
    const clock = stopClock();
    const begun = Date.now();
    for (const id of ["first", "second", "third"]) {
      await store.save(id, { user: "ada", id }, { ttl: 60_000 });
      clock.advance(1);
    }
    const [, , oldest] = await sessionsOf(store, "ada");
    if (!oldest) throw new Error("not listed");
    const { outcome } = await store.save(
      "first",
      { user: "ada", id: "first, again" },
      { record: oldest, ttl: 90_000 },
    );
    expect(outcome).toBe("saved");
    const list = await sessionsOf(store, "ada");
    expect(list.map(({ data }) => data.id)).toEqual(["third", "second", "first, again"]);
    const [third, , first] = list;
    expect(third).toMatchObject({ handle: store.handleOf("third"), createdAt: begun + 2 });
    expect(first).toMatchObject({ createdAt: begun, expiresAt: begun + 90_003 });
    expect(first?.lastWriteAt).toBeGreaterThanOrEqual(third?.lastWriteAt ?? 0);
    expect(Math.abs((first?.lastWriteAt ?? 0) - Date.now())).toBeLessThan(60_000);
    expect((await store.touch("third", third as never, { ttl: 90_000_000 })).outcome).toBe("touched");
  });

  it("are newest first although they are read in several batches", async () => {
    const store = await stores.open();
    const ids = Array.from({ length: 150 }, (_, i) => `session-${i}`);
    await Promise.all(ids.map((id) => store.save(id, { user: "ada", id })));
    const list = await sessionsOf(store, "ada");
    expect(list.map(({ data }) => data.id).sort()).toEqual([...ids].sort());
    const ages = list.map(({ createdAt }) => createdAt);
    expect(ages).toEqual([...ages].sort((a, b) => b - a));
  });

  it("leave the list when they are destroyed, by id or by handle, and when they expire", async () => {
    const store = await stores.open();
    for (const id of ["one", "two", "three"]) await store.save(id, { user: "ada" });
    await store.save("short", { user: "ada" }, { ttl: 1000 });
    await store.destroy("one");
    expect(await store.destroyByHandle(store.handleOf("two"))).toBe(true);
    expect(await store.destroyByHandle(store.handleOf("two"))).toBe(false);
    await until("the expiry", async () => (await sessionsOf(store, "ada")).length === 1);
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("three")]);
  });

  it("move to the user who signs in, and to none where `user` gives none", async () => {
    const store = await stores.open();
    let { record } = await store.save("one", { user: "ada" });
    ({ record } = await store.save("one", { user: "bob" }, { record: record ?? undefined }));
    expect(await handlesOf(store, "bob")).toEqual([store.handleOf("one")]);
    expect(await handlesOf(store, "ada")).toEqual([]);
    await store.save("one", {}, { record: record ?? undefined });
    expect(await handlesOf(store, "bob")).toEqual([]);
    expect((await store.load("one"))?.data).toEqual({});
  });

  it("belong to the right user when two requests sign the same session in at the same time", async () => {
    const [one, other] = await stores.openTwo();
    for (let i = 0; i < 30; i++) {
      const id = `session-${i}`;
      const { record } = await one.save(id, {});
      const both = await Promise.all([
        one.save(id, { user: "ada" }, { record: record ?? undefined }),
        other.load(id).then((loaded) => other.save(id, { user: "bob" }, { record: loaded ?? undefined })),
      ]);
      expect(both.map(({ outcome }) => outcome)).not.toContain("gone");
      const user = (await one.load(id))?.data.user as string;
      expect(await handlesOf(one, user)).toContain(one.handleOf(id));
      expect(await handlesOf(one, user === "ada" ? "bob" : "ada")).not.toContain(one.handleOf(id));
    }
  });

  it("with one prefix are not those with another", async () => {
    const bucket = newBucket();
    const shop = await stores.open({ bucket, prefix: "shop" });
    const blog = await stores.open({ bucket, prefix: "blog" });
    await shop.save("one", { user: "ada" });
    await blog.save("two", { user: "ada" });
    expect(await handlesOf(shop, "ada")).toEqual([shop.handleOf("one")]);
    expect(await blog.destroyByHandle(blog.handleOf("one"), { user: "ada" })).toBe(false);
    expect(await blog.destroyByUser("ada")).toBe(1);
    expect([await handlesOf(shop, "ada"), await handlesOf(blog, "ada")]).toEqual([
      [shop.handleOf("one")],
      [],
    ]);
  });

  it("that were stored without `user` are listed from their next save or touch on", async () => {
    const bucket = newBucket();
    const before = await openPatient<Data>(await stores.connect(), { bucket });
    for (const id of ["saved", "touched"]) await before.save(id, { user: "ada" });
    const store = await stores.open({ bucket, touchAfter: 0 });
    expect(await handlesOf(store, "ada")).toEqual([]);
    const [saved, touched] = [await store.load("saved"), await store.load("touched")];
    if (!saved || !touched) throw new Error("not found");
    await store.save("saved", { user: "ada" }, { record: saved });
    // A touch goes by what is stored, not by what its caller has made of it.
    touched.data.user = "mallory";
    await store.touch("touched", touched, { ttl: 90_000_000 });
    expect((await handlesOf(store, "ada")).sort()).toEqual([saved.handle, touched.handle].sort());
    expect(await handlesOf(store, "mallory")).toEqual([]);
  });

  it("stay listed when a store without `user` saves and touches them", async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    const plain = await openPatient<Data>(await stores.connect(), { bucket, touchAfter: 0 });
    await store.save("one", { user: "ada" });
    const record = await plain.load("one");
    if (!record) throw new Error("not found");
    const saved = await plain.save("one", { user: "ada", n: 1 }, { record });
    if (saved.record) await plain.touch("one", saved.record, { ttl: 90_000_000 });
    expect((await sessionsOf(store, "ada")).map(({ data }) => data.n)).toEqual([1]);
    await expect(plain.listByUser("ada").next()).rejects.toThrow(/`user`/);
    await expect(plain.destroyByUser("ada")).rejects.toThrow(TypeError);
    expect(await plain.destroyByHandle(record.handle, { user: "ada" })).toBe(true);
  });

  it("that cannot be read make the list reject after all the others, and are ended with them", async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    for (const id of ["one", "broken"]) await store.save(id, { user: "ada" });
    const kv = await new Kvm((await stores.connect()) as never).open(bucket);
    await kv.put(`s.${store.handleOf("broken")}`, "no session");
    const listed = store.listByUser("ada");
    expect((await listed.next()).value).toMatchObject({ handle: store.handleOf("one") });
    await expect(listed.next()).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
    expect(await store.destroyByUser("ada")).toBe(2);
    expect(await handlesOf(store, "ada")).toEqual([]);
  });
});

describe.each(variantsAndShards())("ending sessions over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("by handle and user ends no session of another user", async () => {
    const store = await stores.open();
    await store.save("ada's", { user: "ada" });
    await store.save("without user", {});
    for (const id of ["ada's", "without user"]) {
      expect(await store.destroyByHandle(store.handleOf(id), { user: "bob" })).toBe(false);
      expect(await store.load(id)).not.toBeNull();
    }
    expect(await store.destroyByHandle(store.handleOf("ada's"), { user: "ada" })).toBe(true);
    expect(await store.destroyByHandle(store.handleOf("without user"))).toBe(true);
  });

  it("by a handle that is not a string is a TypeError", async () => {
    const store = await stores.open();
    for (const junk of [undefined, null, 5, {}, ["x".repeat(43)]]) {
      await expect(store.destroyByHandle(junk as never)).rejects.toThrow(TypeError);
    }
    await expect(store.destroyByHandle(store.handleOf("one"), { user: 5 as never })).rejects.toThrow(
      TypeError,
    );
  });

  it("by user ends all of them, or all but one, and gives their number", async () => {
    const store = await stores.open();
    const ids = Array.from({ length: 100 }, (_, i) => `session-${i}`);
    await Promise.all(ids.map((id) => store.save(id, { user: "ada" })));
    await store.save("bob's", { user: "bob" });
    expect(await store.destroyByUser("ada", { except: store.handleOf("session-7") })).toBe(99);
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("session-7")]);
    expect(await store.destroyByUser("ada", { except: "no handle" })).toBe(1);
    expect(await store.destroyByUser("ada")).toBe(0);
    expect(await handlesOf(store, "bob")).toHaveLength(1);
  });

  it("by user ends a session that is given another id at the same time", async () => {
    const [one, other] = await stores.openTwo();
    for (let i = 0; i < 40; i++) {
      const name = `user-${i}`;
      const { record } = await one.save(`${name} old`, { user: name });
      if (!record) throw new Error("not saved");
      await Promise.all([
        one.rotate(`${name} old`, `${name} new`, record.data, { record }),
        other.destroyByUser(name),
      ]);
      for (const id of ["old", "new"]) expect(await one.load(`${name} ${id}`)).toBeNull();
      expect(await handlesOf(other, name)).toEqual([]);
    }
  });
});

describe("the option `user`", () => {
  const [variant] = variants() as [Variant];
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it.each([5, null, true, {}, [], Symbol("ada"), ""])(
    "that returns %s makes the save a TypeError that names it, and stores nothing",
    async (name) => {
      const store = await stores.open({ user: () => name as never });
      const save = store.save("one", {});
      await expect(save).rejects.toThrow(TypeError);
      await expect(save).rejects.toThrow(/`user`/);
      expect(await store.load("one")).toBeNull();
    },
  );

  it("that throws fails the save with its error, and what is stored stays", async () => {
    const store = await stores.open({
      user: (data: Data) => {
        if (data.broken) throw new RangeError("no such column");
        return data.user;
      },
    });
    const { record } = await store.save("one", { user: "ada" });
    const broken = store.save("one", { user: "ada", broken: true }, { record: record ?? undefined });
    await expect(broken).rejects.toMatchObject({
      code: "ERR_SESSION_CALLBACK",
      cause: new RangeError("no such column"),
    });
    expect((await store.load("one"))?.data).toEqual({ user: "ada" });
  });

  it("is given the merged data that are stored in the end", async () => {
    const [one, other] = await stores.openTwo();
    const { record } = await one.save("one", { n: 0 });
    const loaded = await other.load("one");
    await other.save("one", { n: 0, user: "ada" }, { record: loaded ?? undefined });
    expect((await one.save("one", { n: 1 }, { record: record ?? undefined })).outcome).toBe("merged");
    expect((await sessionsOf(one, "ada")).map(({ data }) => data)).toEqual([{ n: 1, user: "ada" }]);
  });
});
