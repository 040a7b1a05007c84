import { startNatsServer } from "nats-dev-server";
import type { SessionRecord, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { connectTo } from "../../adapters/support/servers.js";
import { stopClock } from "../../support/clock.js";
import { Gate } from "../../support/gate.js";
import { randomFrom, seed } from "../../support/random.js";
import { type Data, handlesOf, Stores, sessionsOf } from "../../support/stores.js";
import { connectCurrent, newBucket, type Variant, variantsAndShards } from "../../support/variants.js";
import { Witness } from "../../support/witness.js";

describe.each(variantsAndShards())("rotate over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const begin = async (store: SessionStore<Data>, id: string, data: Data): Promise<SessionRecord<Data>> => {
    const { record } = await store.save(id, data);
    if (!record) throw new Error("not saved");
    return record;
  };

  it("keeps the data and age of the session and ends it under the old id", async () => {
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

  it("ends the old id for saves and touches, and lets another rotation begin a session of its own", async () => {
    const [one, other] = await stores.openTwo({ touchAfter: 0 });
    const record = await begin(one, "old", { user: "ada" });
    const theirs = await other.load("old");
    if (!theirs) throw new Error("not found");
    await one.rotate("old", "new", record.data, { record });
    expect((await other.save("old", { user: "mallory" }, { record: theirs })).outcome).toBe("gone");
    expect((await other.touch("old", theirs, { ttl: 90_000_000 })).outcome).toBe("gone");
    const rotated = await other.rotate("old", "newer", { user: "bob" }, { record: theirs });
    expect(rotated.record?.createdAt).toBe(record.createdAt);
    expect((await other.load("new"))?.data).toEqual({ user: "ada" });
    expect((await other.load("newer"))?.data).toEqual({ user: "bob" });
  });

  it("loses nothing that another process writes at the same time", async () => {
    const [one, other] = await stores.openTwo();
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

  it("does not bring back a session that was destroyed or has expired", async () => {
    const store = await stores.open();
    const ended = await begin(store, "ended", { user: "ada" });
    await store.destroy("ended");
    expect(await store.rotate("ended", "new", { user: "ada" }, { record: ended })).toEqual({
      outcome: "gone",
      record: null,
    });
    const clock = stopClock();
    const record = await begin(store, "short", { user: "ada" });
    clock.advanceTo(record.expiresAt);
    expect((await store.rotate("short", "new", {}, { record })).outcome).toBe("gone");
    expect(await store.load("new")).toBeNull();
    expect(await handlesOf(store, "ada")).toEqual([]);
  });

  it("loses to a destroy of the old id or handle at the same time or later", async () => {
    const [one, other] = await stores.openTwo();
    for (let i = 0; i < 30; i++) {
      const record = await begin(one, `old ${i}`, { user: "ada" });
      await Promise.all([
        one.rotate(`old ${i}`, `new ${i}`, record.data, { record }),
        i % 2 === 0 ? other.destroy(`old ${i}`) : other.destroyByHandle(record.handle, { user: "ada" }),
      ]);
      expect([await one.load(`old ${i}`), await one.load(`new ${i}`)]).toEqual([null, null]);
    }
    const record = await begin(one, "old", { user: "ada" });
    await one.rotate("old", "new", record.data, { record });
    expect(await other.destroyByHandle(record.handle, { user: "bob" })).toBe(false);
    expect(await other.destroyByHandle(record.handle, { user: "ada" })).toBe(true);
    expect(await one.load("new")).toBeNull();
  });

  it("may sign the user in, for which `maxSessionsPerUser` holds", async () => {
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
    expect(await sessionsOf(strict, "ada")).toHaveLength(2);
  });

  it("does not extend a session beyond `absoluteTtl`", async () => {
    const store = await stores.open({ absoluteTtl: 60_000 });
    let record = await begin(store, "id 0", { user: "ada" });
    const end = record.createdAt + 60_000;
    for (let n = 1; n <= 3; n++) {
      const rotated = await store.rotate(`id ${n - 1}`, `id ${n}`, record.data, { record });
      record = rotated.record as SessionRecord<Data>;
      expect(record.expiresAt).toBeLessThanOrEqual(end);
    }
  });

  it("rejects with a TypeError for the same id or a record that is not of the session", async () => {
    const store = await stores.open();
    const record = await begin(store, "old", {});
    await expect(store.rotate("old", "old", {}, { record })).rejects.toThrow(TypeError);
    await expect(store.rotate("other", "new", {}, { record })).rejects.toThrow(TypeError);
    await expect(store.rotate("old", "new", {}, { record: { ...record } })).rejects.toThrow(TypeError);
    expect(await store.load("old")).not.toBeNull();
  });
});

describe("a session that is given another id and ended at the same time", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  const ends: Record<string, (store: SessionStore<Data>, id: string, name: string) => Promise<unknown>> = {
    destroy: (store, id) => store.destroy(id),
    destroyByHandle: (store, id, name) => store.destroyByHandle(store.handleOf(id), { user: name }),
    destroyByUser: (store, _id, name) => store.destroyByUser(name),
  };
  it.each(
    Object.keys(ends).flatMap((end) => ["save", "touch", "rotate"].map((before) => [end, before] as const)),
  )("is ended by %s after a %s in the same request too, under every id", async (end, before) => {
    const options = { bucket: newBucket(), touchAfter: 0 };
    const random = randomFrom(seed);
    const late = (subject: string) => (subject.startsWith("$KV.") && random() < 0.5 ? 6 * random() : 0);
    const [one, other] = await Promise.all(
      [0, 1].map(async () => stores.openOn(new Gate(await stores.connect(), late).connection, options)),
    );
    if (!one || !other) throw new Error("not open");
    for (let round = 0; round < 30; round++) {
      const [name, id] = [`${end} ${before} ${round}`, `${end} ${before} ${round} old`];
      await one.save(id, { user: name, n: 0 });
      const record = (await one.load(id)) as SessionRecord<Data>;
      const signIn = async () => {
        let at = id;
        let result: { readonly record: SessionRecord<Data> | null };
        if (before === "save") result = await one.save(id, { user: name, n: 1 }, { record });
        else if (before === "touch") result = await one.touch(id, record, { ttl: 90_000_000 });
        else {
          at = `${id} once`;
          result = await one.rotate(id, at, record.data, { record });
        }
        if (result.record) await one.rotate(at, `${id} new`, result.record.data, { record: result.record });
      };
      await Promise.all([signIn(), ends[end]?.(other, id, name)]);
      for (const left of [id, `${id} once`, `${id} new`]) expect(await other.load(left)).toBeNull();
      expect(await handlesOf(other, name)).toEqual([]);
    }
  });
});

describe("rotate in an outage", () => {
  it("is an error, and one of the two ids has the session", async ({ onTestFinished: defer }) => {
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
    expect((await sessionsOf(patient, "ada")).length).toBeGreaterThanOrEqual(1);
  });
});
