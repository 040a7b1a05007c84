import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { Gate } from "../../support/gate.js";
import { keyOf } from "../../support/keys.js";
import { openPatient } from "../../support/patient.js";
import { type Data, handlesOf, Stores, user } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";

/** A timeout after which an operation fails whose messages are held back, in ms. */
const BRIEF = 1500;

describe.each([{ shards: 1 }, { shards: 3 }])("a limit of sessions in $shards buckets", ({ shards }) => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  /** A store whose messages can be held back, and one of another process on the same bucket. */
  const openGated = async (options: SessionStoreOptions = {}, gatedOptions: SessionStoreOptions = {}) => {
    const shared = { bucket: newBucket(), shards, user, ...options };
    const other = await stores.open(shared);
    const gate = new Gate(await stores.connect());
    const gated = await openPatient<Data>(gate.connection, { ...shared, ...gatedOptions });
    const holdSession = (id: string) =>
      gate.hold((subject) => subject.startsWith("$KV.") && subject.endsWith(`.s.${gated.handleOf(id)}`));
    const live = async () => (await handlesOf(other, "ada")).sort();
    const handles = (...ids: string[]) => ids.map((id) => gated.handleOf(id)).sort();
    return { gate, gated, other, holdSession, live, handles };
  };

  it.each([1, 2, 3])("of %d holds for a session that is stored after newer sign-ins", async (limit) => {
    const { gate, gated, other, holdSession, live, handles } = await openGated({ maxSessionsPerUser: limit });
    holdSession("early");
    const early = gated.save("early", { user: "ada" });
    await gate.holding();
    const later = Array.from({ length: limit }, (_, n) => `later ${n}`);
    for (const id of later) await other.save(id, { user: "ada" });
    gate.release();
    expect((await early).outcome).toBe("saved");
    expect(await live()).toEqual(handles(...later));
    expect(await gated.load("early")).toBeNull();
  });

  it("holds for a session that was there before its user signed in late", async () => {
    const { gate, gated, other, holdSession, live, handles } = await openGated({ maxSessionsPerUser: 1 });
    const { record } = await gated.save("early", { cart: 1 });
    holdSession("early");
    const early = gated.save("early", { cart: 1, user: "ada" }, { record: record ?? undefined });
    await gate.holding();
    await other.save("later", { user: "ada" });
    gate.release();
    await early;
    expect(await live()).toEqual(handles("later"));
  });

  it("holds for a session that gets a new id late, with the sign-in", async () => {
    const { gate, gated, other, holdSession, live, handles } = await openGated({ maxSessionsPerUser: 1 });
    const { record } = await gated.save("old", { cart: 1 });
    if (!record) throw new Error("not saved");
    holdSession("new");
    const early = gated.rotate("old", "new", { cart: 1, user: "ada" }, { record });
    await gate.holding();
    await other.save("later", { user: "ada" });
    gate.release();
    await early;
    expect(await live()).toEqual(handles("later"));
  });

  it("ends no session for a sign-in that is never stored, not even at the next one", async () => {
    const { gate, gated, other, holdSession, live, handles } = await openGated(
      { maxSessionsPerUser: 2 },
      { timeout: BRIEF },
    );
    for (const id of ["one", "two"]) await other.save(id, { user: "ada" });
    holdSession("lost");
    const lost = gated.save("lost", { user: "ada" });
    await expect(lost).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    gate.drop();
    expect(await live()).toEqual(handles("one", "two"));
    await other.save("three", { user: "ada" });
    expect(await live()).toEqual(handles("two", "three"));
  });

  it("that refuses counts a sign-in that is on its way, and one that was refused no longer", async () => {
    const { gate, gated, other, holdSession, live, handles } = await openGated({
      maxSessionsPerUser: 2,
      onLimit: "refuse",
    });
    await other.save("one", { user: "ada" });
    holdSession("early");
    const early = gated.save("early", { user: "ada" });
    await gate.holding();
    await expect(other.save("later", { user: "ada" })).rejects.toMatchObject({ code: "ERR_SESSION_LIMIT" });
    gate.release();
    expect((await early).outcome).toBe("saved");
    expect(await live()).toEqual(handles("early", "one"));
    await expect(gated.save("later", { user: "ada" })).rejects.toMatchObject({ code: "ERR_SESSION_LIMIT" });
    await other.destroy("one");
    expect((await other.save("last", { user: "ada" })).outcome).toBe("saved");
  });

  it("that cannot be kept in an outage does not make the sign-in fail, and is kept afterwards", async () => {
    const { gate, gated, other, holdSession, live, handles } = await openGated(
      { maxSessionsPerUser: 1 },
      { timeout: BRIEF },
    );
    await other.save("old", { user: "ada" });
    holdSession("old");
    expect((await gated.save("new", { user: "ada" })).outcome).toBe("saved");
    gate.drop();
    expect(await live()).toContain(gated.handleOf("new"));
    await until("the old session to be ended", async () => (await live()).length === 1);
    expect(await live()).toEqual(handles("new"));
  });

  it("ends neither id of a session that was given a new one", async () => {
    const [one, other] = await stores.openTwo({ maxSessionsPerUser: 2 });
    const { record } = await one.save("old", { user: "ada" });
    if (!record) throw new Error("not saved");
    await one.rotate("old", "new", record.data, { record });
    // The old id is still in the index.
    await other.save("other", { user: "ada" });
    expect((await handlesOf(one, "ada")).sort()).toEqual(
      ["new", "other"].map((id) => one.handleOf(id)).sort(),
    );
  });
});

describe("processes with secrets for user names in another order", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());
  const [a, b] = [keyOf("a").key, keyOf("b").key];

  it.each(["end-oldest", "refuse"] as const)(
    "leave as many sessions as are allowed when a user signs in to all at the same time with `onLimit` %j",
    async (onLimit) => {
      const shared = { bucket: newBucket(), maxSessionsPerUser: 3, onLimit };
      const orders = [
        [a, b],
        [b, a],
      ];
      const several = await Promise.all(
        orders.flatMap((userKeys) => [0, 1].map(() => stores.open({ ...shared, encryption: { userKeys } }))),
      );
      for (let round = 0; round < 8; round++) {
        const saving = several.flatMap((store, n) =>
          [0, 1, 2].map((i) => store.save(`${round} ${n} ${i}`, { user: `user ${round}` })),
        );
        const saved = (await Promise.allSettled(saving)).filter(({ status }) => status === "fulfilled");
        for (const store of several) {
          const live = await handlesOf(store, `user ${round}`);
          expect(live).toHaveLength(onLimit === "refuse" ? saved.length : 3);
          expect(live.length).toBeLessThanOrEqual(3);
        }
      }
    },
  );

  it("count the sessions that were signed in under another secret, also in a process that has just started", async () => {
    const shared = { bucket: newBucket(), maxSessionsPerUser: 2 };
    const before = await stores.open(shared);
    for (const id of ["one", "two"]) await before.save(id, { user: "ada" });
    const after = await stores.open({ ...shared, encryption: { userKeys: [a] } });
    await after.save("three", { user: "ada" });
    expect((await handlesOf(after, "ada")).sort()).toEqual(
      ["two", "three"].map((id) => after.handleOf(id)).sort(),
    );
    const strict = await stores.open({ ...shared, encryption: { userKeys: [b, a] }, onLimit: "refuse" });
    await expect(strict.save("four", { user: "ada" })).rejects.toMatchObject({ code: "ERR_SESSION_LIMIT" });
  });
});

describe("a session of a user stays listed", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  it("when a write fails that would have made its index entry last longer", async () => {
    const bucket = newBucket();
    const other = await stores.open({ bucket });
    const gate = new Gate(await stores.connect());
    const gated = await SessionStore.open<Data>(gate.connection, { bucket, user, timeout: BRIEF });
    const { record } = await other.save("id", { user: "ada" }, { ttl: 600_000 });
    const loaded = await gated.load("id");
    if (!record || !loaded) throw new Error("not saved");
    gate.hold((subject) => subject.includes(`.s.${record.handle}`));
    const saving = gated.save("id", { user: "ada", n: 1 }, { record: loaded, ttl: 6_000_000 });
    await expect(saving).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    gate.drop();
    await gated.close();
    expect(await handlesOf(other, "ada")).toEqual([record.handle]);
  });

  it("when its sign-in was stored after it had failed for its caller", async () => {
    const bucket = newBucket();
    const other = await stores.open({ bucket });
    const gate = new Gate(await stores.connect());
    const gated = await SessionStore.open<Data>(gate.connection, { bucket, user, timeout: BRIEF });
    const handle = gated.handleOf("id");
    gate.hold((subject) => subject.endsWith(`.s.${handle}`));
    const saving = gated.save("id", { user: "ada" });
    await expect(saving).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    gate.release();
    await gated.close();
    await until("the late write", async () => (await other.load("id")) !== null);
    expect(await handlesOf(other, "ada")).toEqual([handle]);
    expect(await other.destroyByUser("ada")).toBe(1);
  });

  it("when two processes sign the same session in and the one that comes last fails", async () => {
    const shared = { bucket: newBucket(), user, onConflict: "error" as const };
    const gates = [new Gate(await stores.connect()), new Gate(await stores.connect())] as const;
    const [one, other] = await Promise.all(gates.map((gate) => openPatient<Data>(gate.connection, shared)));
    if (!one || !other) throw new Error("not open");
    const { record } = await one.save("id", {});
    const loaded = await other.load("id");
    if (!record || !loaded) throw new Error("not saved");
    for (const gate of gates) gate.hold((subject) => subject.endsWith(`.s.${record.handle}`));
    const first = one.save("id", { user: "ada", n: 1 }, { record });
    await gates[0].holding();
    const last = other.save("id", { user: "ada", n: 2 }, { record: loaded });
    await gates[1].holding();
    gates[0].release();
    expect((await first).outcome).toBe("saved");
    gates[1].release();
    await expect(last).rejects.toMatchObject({ code: "ERR_SESSION_CONFLICT" });
    await other.close();
    expect(await handlesOf(one, "ada")).toEqual([record.handle]);
  });
});
