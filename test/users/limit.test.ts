import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { openSessionStore, type SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { newBucket, type Variant, variants } from "../support/variants.js";
import { until } from "../support/wait.js";
import { type Data, handlesOf, indexedHandles, listOf, Stores, user } from "./support.js";

const program = fileURLToPath(new URL("programs/sign-in.mjs", import.meta.url));

/** Signs in from several processes at once. @returns what became of each sign-in */
async function signInEverywhere(
  url: string,
  options: SessionStoreOptions & { name: string; count: number },
  processes: number,
): Promise<string[]> {
  const children = Array.from({ length: processes }, (_, n) =>
    fork(program, [url, JSON.stringify({ ...options, start: `process-${n}` })]),
  );
  await Promise.all(children.map((child) => once(child, "message")));
  const answers = children.map((child) => once(child, "message"));
  for (const child of children) child.send("go");
  const outcomes = (await Promise.all(answers)).map(([list]) => list as string[]);
  const exits = children.map((child) => once(child, "exit"));
  for (const child of children) child.send("end");
  await Promise.all(exits);
  return outcomes.flat();
}

const caught = (promise: Promise<unknown>) =>
  promise.then(
    () => "saved",
    (error) => error.code as string,
  );

describe.each(variants())("at most three sessions, the oldest ended, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  const open = (options: SessionStoreOptions = {}) => stores.open({ maxSessionsPerUser: 3, ...options });
  afterAll(() => stores.close());

  it("a sign-in beyond them ends the one that was the user's longest", async () => {
    const store = await open();
    for (let i = 1; i <= 6; i++) {
      await store.save(`session-${i}`, { user: "ada" });
      await store.save(`bob's ${i}`, i <= 3 ? { user: "bob" } : {});
      const live = [i - 2, i - 1, i].filter((n) => n > 0).map((n) => store.handleOf(`session-${n}`));
      expect((await handlesOf(store, "ada")).sort()).toEqual(live.sort());
    }
    expect(await handlesOf(store, "bob")).toHaveLength(3);
    expect(await store.load("session-1")).toBeNull();
  });

  it("what counts is since when a session is the user's, not its age", async () => {
    const store = await open();
    const { record } = await store.save("began first", {});
    for (const id of ["one", "two", "three"]) await store.save(id, { user: "ada" });
    await store.save("began first", { user: "ada" }, { record: record ?? undefined });
    const live = ["began first", "two", "three"].map((id) => store.handleOf(id));
    expect((await handlesOf(store, "ada")).sort()).toEqual(live.sort());
  });

  it("later saves, touches, merges and new ids end none", async () => {
    const bucket = newBucket();
    const free = await stores.open({ bucket });
    for (let i = 1; i <= 4; i++) await free.save(`session-${i}`, { user: "ada" });
    const [one, other] = [await open({ bucket, touchAfter: 0 }), await open({ bucket })];
    const [mine, theirs] = [await one.load("session-1"), await other.load("session-1")];
    if (!mine || !theirs) throw new Error("not found");
    expect((await one.touch("session-1", mine, { ttl: 90_000_000 })).outcome).toBe("touched");
    await other.save("session-1", { user: "ada", a: 1 }, { record: theirs });
    const merged = await one.save("session-1", { user: "ada", b: 1 }, { record: mine });
    expect(merged.outcome).toBe("merged");
    if (!merged.record) throw new Error("not saved");
    await one.rotate("session-1", "session-5", merged.record.data, { record: merged.record });
    expect(await handlesOf(one, "ada")).toHaveLength(4);
    // The one with a new id has kept its place: it is the oldest.
    await one.save("session-6", { user: "ada" });
    expect((await handlesOf(one, "ada")).sort()).toEqual(
      ["session-3", "session-4", "session-6"].map((id) => one.handleOf(id)).sort(),
    );
  });

  it("an index entry without a session counts for nothing", async () => {
    const bucket = newBucket();
    const store = await open({ bucket });
    for (const id of ["one", "two", "three"]) await store.save(id, { user: "ada" });
    await store.destroy("three");
    await store.save("four", { user: "ada" });
    expect(await handlesOf(store, "ada")).toHaveLength(3);
  });

  it("many at once from several stores leave exactly three", async () => {
    const bucket = newBucket();
    const several = await Promise.all(Array.from({ length: 4 }, () => open({ bucket })));
    for (let round = 0; round < 2; round++) {
      await Promise.all(
        several.flatMap((store, n) =>
          Array.from({ length: 5 }, (_, i) => store.save(`round ${round}: ${n}-${i}`, { user: "ada" })),
        ),
      );
      expect(await listOf(several[0] as SessionStore<Data>, "ada")).toHaveLength(3);
    }
  });

  it("one that is being given another id while others sign in counts once", async () => {
    const bucket = newBucket();
    const [one, other] = [
      await open({ bucket, maxSessionsPerUser: 2 }),
      await open({ bucket, maxSessionsPerUser: 2 }),
    ];
    for (let i = 0; i < 40; i++) {
      const name = `user-${i}`;
      const { record } = await one.save(`${name} old`, { user: name });
      if (!record) throw new Error("not saved");
      const [rotated] = await Promise.all([
        one.rotate(`${name} old`, `${name} new`, record.data, { record }),
        other.save(`${name} other`, { user: name }),
      ]);
      expect(rotated.outcome).toBe("saved");
      expect(await handlesOf(one, name)).toHaveLength(2);
    }
  });
});

describe.each(variants())("at most three sessions, more refused, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  const open = (options: SessionStoreOptions = {}) =>
    stores.open({ maxSessionsPerUser: 3, onLimit: "refuse", ...options });
  afterAll(() => stores.close());

  it("a sign-in beyond them is an error that stores nothing and leaves nothing in the index", async () => {
    const bucket = newBucket();
    const store = await open({ bucket });
    for (const id of ["one", "two", "three"]) await store.save(id, { user: "ada" });
    await expect(store.save("four", { user: "ada" })).rejects.toMatchObject({
      code: "ERR_SESSION_LIMIT",
      message: expect.not.stringContaining("ada"),
    });
    expect(await store.load("four")).toBeNull();
    expect(await handlesOf(store, "ada")).toHaveLength(3);
    const nc = await stores.connect();
    await until("three index entries", async () => {
      return (await indexedHandles(nc, bucket, store, "ada")).length === 3;
    });
    await store.destroy("two");
    expect((await store.save("four", { user: "ada" })).outcome).toBe("saved");
  });

  it("a session that was somebody's or nobody's is as it was when its move is refused", async () => {
    const store = await open();
    for (const id of ["one", "two", "three"]) await store.save(id, { user: "ada" });
    const nobodys = (await store.save("nobody's", { n: 1 })).record ?? undefined;
    const bobs = (await store.save("bob's", { user: "bob" })).record ?? undefined;
    expect(await caught(store.save("nobody's", { user: "ada" }, { record: nobodys }))).toBe(
      "ERR_SESSION_LIMIT",
    );
    expect(await caught(store.save("bob's", { user: "ada" }, { record: bobs }))).toBe("ERR_SESSION_LIMIT");
    expect((await store.load("nobody's"))?.data).toEqual({ n: 1 });
    expect(await handlesOf(store, "bob")).toEqual([store.handleOf("bob's")]);
  });

  it("saves, touches and new ids of those that are in are not refused", async () => {
    const store = await open({ touchAfter: 0 });
    for (const id of ["one", "two", "three"]) await store.save(id, { user: "ada" });
    let record = await store.load("one");
    if (!record) throw new Error("not found");
    ({ record } = await store.save("one", { user: "ada", n: 1 }, { record }));
    if (!record) throw new Error("not saved");
    expect((await store.touch("one", record, { ttl: 90_000_000 })).outcome).toBe("touched");
    record = await store.load("one");
    if (!record) throw new Error("not found");
    expect((await store.rotate("one", "four", record.data, { record })).outcome).toBe("saved");
    // Begun anew under its id is the same place.
    expect((await store.save("two", { user: "ada" })).outcome).toBe("saved");
    expect(await handlesOf(store, "ada")).toHaveLength(3);
  });

  it("many at once from several stores leave no more than three", async () => {
    const bucket = newBucket();
    const several = await Promise.all(Array.from({ length: 4 }, () => open({ bucket })));
    for (let round = 0; round < 2; round++) {
      const name = `user-${round}`;
      const answers = await Promise.all(
        several.flatMap((store, n) =>
          Array.from({ length: 5 }, (_, i) => caught(store.save(`${name} ${n}-${i}`, { user: name }))),
        ),
      );
      expect(new Set(answers)).toEqual(new Set(["saved", "ERR_SESSION_LIMIT"]));
      const live = await handlesOf(several[0] as SessionStore<Data>, name);
      expect(live).toHaveLength(answers.filter((answer) => answer === "saved").length);
      expect(live.length).toBeGreaterThan(0);
      expect(live.length).toBeLessThanOrEqual(3);
    }
  });
});

describe.each(variants().slice(0, 1))(
  "sign-ins at once in several processes, on $name",
  (variant: Variant) => {
    const stores = new Stores(variant);
    afterAll(() => stores.close());

    it.each(["end-oldest", "refuse"] as const)("with %s never leave more than allowed", async (onLimit) => {
      const bucket = newBucket();
      const options = { bucket, maxSessionsPerUser: 4, onLimit };
      const store = await stores.open(options);
      const outcomes = await signInEverywhere(variant.url, { ...options, name: "ada", count: 15 }, 3);
      const live = await handlesOf(store, "ada");
      expect(outcomes).toHaveLength(45);
      if (onLimit === "end-oldest") {
        expect(outcomes).toEqual(Array(45).fill("saved"));
        expect(live).toHaveLength(4);
      } else {
        const saved = outcomes.filter((outcome) => outcome === "saved");
        expect(new Set(outcomes)).toEqual(new Set(["saved", "ERR_SESSION_LIMIT"]));
        expect(live).toHaveLength(saved.length);
        expect(saved.length).toBeLessThanOrEqual(4);
      }
    });
  },
);

describe("`maxSessionsPerUser`", () => {
  const [variant] = variants() as [Variant];
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("needs `user`, and both are checked", async () => {
    const nc = await stores.connect();
    const open = (options: object) => openSessionStore(nc, { bucket: newBucket(), ...options });
    await expect(open({ maxSessionsPerUser: 3 })).rejects.toThrow(/`user`/);
    for (const wrong of [0, -1, 1.5, "3", Number.POSITIVE_INFINITY]) {
      await expect(open({ user, maxSessionsPerUser: wrong })).rejects.toThrow(/`maxSessionsPerUser`/);
    }
    await expect(open({ user, onLimit: "end-newest" })).rejects.toThrow(/`onLimit`/);
    await expect(open({ user: "id" })).rejects.toThrow(/`user`/);
  });
});
