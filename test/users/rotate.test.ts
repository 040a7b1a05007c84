import { startNatsServer } from "nats-dev-server";
import type { SessionRecord, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { Witness } from "../changes/support.js";
import { connectTo } from "../http/support/servers.js";
import { newBucket, type Variant, variants } from "../support/variants.js";
import { untilTime } from "../support/wait.js";
import { type Data, handlesOf, listOf, Stores, saveBriefly } from "./support.js";

describe.each(variants())("giving a session another id, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const begin = async (store: SessionStore<Data>, id: string, data: Data): Promise<SessionRecord<Data>> => {
    const { record } = await store.save(id, data);
    if (!record) throw new Error("not saved");
    return record;
  };

  it("keeps its data, age and life, and ends it under the old one", async () => {
    const store = await stores.open();
    const record = await begin(store, "old", { user: "ada", n: 1 });
    const rotated = await store.rotate("old", "new", { user: "ada", n: 2 }, { record, ttl: 60_000 });
    expect(rotated.outcome).toBe("saved");
    expect(await store.load("old")).toBeNull();
    const loaded = await store.load("new");
    expect(loaded).toMatchObject({ data: { user: "ada", n: 2 }, createdAt: record.createdAt });
    expect(loaded?.revision).toBe(rotated.record?.revision);
    expect(loaded?.expiresAt).toBeLessThan(Date.now() + 61_000);
    expect((await store.save("new", { user: "ada" }, { record: rotated.record ?? undefined })).outcome).toBe(
      "saved",
    );
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("new")]);
  });

  it("never stores the new data under the old id", async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    const witness = await Witness.of(await stores.open({ bucket }));
    const record = await begin(store, "old", {});
    await witness.untilRevision(record.revision);
    await store.rotate("old", "new", { user: "ada" }, { record });
    await witness.until("three changes", (changes) => changes.length >= 3);
    expect(witness.of(store.handleOf("old"))).toEqual(["created", "destroyed"]);
    await witness.stop();
  });

  it("refuses the old one to everybody who still has it", async () => {
    const bucket = newBucket();
    const [one, other] = [
      await stores.open({ bucket, touchAfter: 0 }),
      await stores.open({ bucket, touchAfter: 0 }),
    ];
    const record = await begin(one, "old", { user: "ada" });
    const theirs = await other.load("old");
    if (!theirs) throw new Error("not found");
    await one.rotate("old", "new", record.data, { record });
    expect((await other.save("old", { user: "mallory" }, { record: theirs })).outcome).toBe("gone");
    expect((await other.touch("old", theirs, { ttl: 90_000_000 })).outcome).toBe("gone");
    expect((await other.rotate("old", "newer", theirs.data, { record: theirs })).outcome).toBe("gone");
    expect(await other.load("newer")).toBeNull();
    expect((await other.load("new"))?.data).toEqual({ user: "ada" });
  });

  it("loses nothing that others write meanwhile", async () => {
    const bucket = newBucket();
    const [one, other] = [await stores.open({ bucket }), await stores.open({ bucket })];
    for (let i = 0; i < 25; i++) {
      let record = await begin(one, `old ${i}`, { user: "ada" });
      const written: string[] = [];
      const writing = (async () => {
        let theirs: SessionRecord<Data> | null = await other.load(`old ${i}`);
        for (let n = 0; n < 20 && theirs; n++) {
          const saved = await other.save(`old ${i}`, { ...theirs.data, [`key-${n}`]: n }, { record: theirs });
          if (saved.record) written.push(`key-${n}`);
          theirs = saved.record;
        }
      })();
      const held = { user: "ada", mine: 1 };
      const rotated = await one.rotate(`old ${i}`, `new ${i}`, held, { record });
      await writing;
      if (!rotated.record) throw new Error(`It was ${rotated.outcome}`);
      expect(Object.keys((await one.load(`new ${i}`))?.data ?? {}).sort()).toEqual(
        ["user", "mine", ...written].sort(),
      );
      // Nor by a later save of who never saw it.
      record = (await one.save(`new ${i}`, held, { record: rotated.record })).record as SessionRecord<Data>;
      expect(Object.keys(record.data)).toHaveLength(2 + written.length);
    }
  });

  it("does not bring back one that was ended or has expired", async () => {
    const store = await stores.open();
    const ended = await begin(store, "ended", { user: "ada" });
    await store.destroy("ended");
    expect(await store.rotate("ended", "new", { user: "ada" }, { record: ended })).toEqual({
      outcome: "gone",
      record: null,
    });
    const record = await saveBriefly(store, "short", { user: "ada" }, 200);
    await untilTime(record.expiresAt);
    expect((await store.rotate("short", "new", {}, { record })).outcome).toBe("gone");
    expect(await store.load("new")).toBeNull();
    expect(await handlesOf(store, "ada")).toEqual([]);
  });

  it("follows whoever is ended meanwhile: signing out wins", async () => {
    const bucket = newBucket();
    const [one, other] = [await stores.open({ bucket }), await stores.open({ bucket })];
    for (let i = 0; i < 30; i++) {
      const record = await begin(one, `old ${i}`, { user: "ada" });
      await Promise.all([
        one.rotate(`old ${i}`, `new ${i}`, record.data, { record }),
        i % 2 === 0 ? other.destroy(`old ${i}`) : other.destroyHandle(record.handle, { user: "ada" }),
      ]);
      expect([await one.load(`old ${i}`), await one.load(`new ${i}`)]).toEqual([null, null]);
    }
    const record = await begin(one, "old", { user: "ada" });
    await one.rotate("old", "new", record.data, { record });
    expect(await other.destroyHandle(record.handle, { user: "bob" })).toBe(false);
    expect(await other.destroyHandle(record.handle, { user: "ada" })).toBe(true);
    expect(await one.load("new")).toBeNull();
  });

  it("may sign in: the session moves, and is limited like any other", async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket, maxSessionsPerUser: 2 });
    for (const id of ["one", "two"]) await begin(store, id, { user: "ada" });
    const record = await begin(store, "old", { cart: 1 });
    const { record: moved } = await store.rotate("old", "new", { cart: 1, user: "ada" }, { record });
    expect(moved?.createdAt).toBe(record.createdAt);
    expect((await handlesOf(store, "ada")).sort()).toEqual(
      [store.handleOf("new"), store.handleOf("two")].sort(),
    );

    const strict = await stores.open({ bucket, maxSessionsPerUser: 2, onLimit: "refuse" });
    const third = await begin(strict, "third", { cart: 2 });
    await expect(strict.rotate("third", "fourth", { user: "ada" }, { record: third })).rejects.toMatchObject({
      code: "ERR_SESSION_LIMIT",
    });
    expect((await strict.load("third"))?.data).toEqual({ cart: 2 });
    expect(await strict.load("fourth")).toBeNull();
    expect(await listOf(strict, "ada")).toHaveLength(2);
  });

  it("does not go beyond `absoluteTtl`", async () => {
    const store = await stores.open({ absoluteTtl: 60_000 });
    let record = await begin(store, "id 0", { user: "ada" });
    const end = record.createdAt + 60_000;
    for (let n = 1; n <= 3; n++) {
      const rotated = await store.rotate(`id ${n - 1}`, `id ${n}`, record.data, { record });
      record = rotated.record as SessionRecord<Data>;
      expect(record.expiresAt).toBeLessThanOrEqual(end);
    }
  });

  it("takes a record of the session, and another id", async () => {
    const store = await stores.open();
    const record = await begin(store, "old", {});
    await expect(store.rotate("old", "old", {}, { record })).rejects.toThrow(TypeError);
    await expect(store.rotate("other", "new", {}, { record })).rejects.toThrow(TypeError);
    await expect(store.rotate("old", "new", {}, { record: { ...record } })).rejects.toThrow(TypeError);
    expect(await store.load("old")).not.toBeNull();
  });
});

describe("giving a session another id", () => {
  it("is an error in an outage, and one of the two goes on", async ({ onTestFinished: defer }) => {
    const server = await startNatsServer();
    defer(() => server.stop());
    const stores = new Stores({ connect: () => connectTo(server, defer) });
    const bucket = newBucket();
    const [store, patient] = [await stores.open({ bucket, timeout: 2000 }), await stores.open({ bucket })];
    const { record } = await store.save("old", { user: "ada" });
    if (!record) throw new Error("not saved");
    await server.pause();
    await expect(store.rotate("old", "new", record.data, { record })).rejects.toMatchObject({
      code: "ERR_SESSION_UNAVAILABLE",
    });
    await server.resume();
    // What the server had received it may do late.
    expect((await listOf(patient, "ada")).length).toBeGreaterThanOrEqual(1);
  });
});
