import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { type Data, handlesOf, Stores, user } from "../../support/stores.js";
import { newBucket, type Variant, variants, variantsAndShards } from "../../support/variants.js";

const LIMIT = "ERR_SESSION_LIMIT";
const program = fileURLToPath(new URL("programs/sign-in.mjs", import.meta.url));

/** Signs in from several processes at the same time. @returns the outcome of each sign-in */
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

const outcomeOf = (save: Promise<unknown>) =>
  save.then(
    () => "saved",
    (error) => error.code as string,
  );

describe.each(variantsAndShards())("with at most three sessions over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  const open = (options: SessionStoreOptions = {}) => stores.open({ maxSessionsPerUser: 3, ...options });
  afterAll(() => stores.close());

  const fill = async (store: SessionStore<Data>, ids = ["one", "two", "three"]) => {
    for (const id of ids) await store.save(id, { user: "ada" });
  };
  const expectLive = async (store: SessionStore<Data>, ids: string[]) =>
    expect((await handlesOf(store, "ada")).sort()).toEqual(ids.map((id) => store.handleOf(id)).sort());
  const loaded = async (store: SessionStore<Data>, id: string) => {
    const record = await store.load(id);
    if (!record) throw new Error("not found");
    return record;
  };

  describe("the oldest ended", () => {
    it("a further sign-in ends the session that the user has had longest", async () => {
      const store = await open();
      for (let i = 1; i <= 6; i++) {
        await store.save(`session-${i}`, { user: "ada" });
        await store.save(`bob's ${i}`, i <= 3 ? { user: "bob" } : {});
        await expectLive(
          store,
          [i - 2, i - 1, i].filter((n) => n > 0).map((n) => `session-${n}`),
        );
      }
      expect(await handlesOf(store, "bob")).toHaveLength(3);
      expect(await store.load("session-1")).toBeNull();
    });

    it("the time of the sign-in counts, not the session's age", async () => {
      const store = await open();
      const { record } = await store.save("began first", {});
      await fill(store);
      await store.save("began first", { user: "ada" }, { record: record ?? undefined });
      await expectLive(store, ["began first", "two", "three"]);
    });

    it("later saves, touches, merges and new ids of the user's sessions end none", async () => {
      const bucket = newBucket();
      await fill(await stores.open({ bucket }), ["session-1", "session-2", "session-3", "session-4"]);
      const [one, other] = [await open({ bucket, touchAfter: 0 }), await open({ bucket })];
      const [mine, theirs] = [await loaded(one, "session-1"), await loaded(other, "session-1")];
      expect((await one.touch("session-1", mine, { ttl: 90_000_000 })).outcome).toBe("touched");
      await other.save("session-1", { user: "ada", a: 1 }, { record: theirs });
      const merged = await one.save("session-1", { user: "ada", b: 1 }, { record: mine });
      expect(merged.outcome).toBe("merged");
      if (!merged.record) throw new Error("not saved");
      await one.rotate("session-1", "session-5", merged.record.data, { record: merged.record });
      await expectLive(one, ["session-2", "session-3", "session-4", "session-5"]);
      // The session with a new id has kept its place: it is the oldest.
      await one.save("session-6", { user: "ada" });
      await expectLive(one, ["session-3", "session-4", "session-6"]);
    });

    it("a session that was destroyed does not count", async () => {
      const store = await open();
      await fill(store);
      await store.destroy("three");
      await store.save("four", { user: "ada" });
      await expectLive(store, ["one", "two", "four"]);
    });

    it("a session that gets another id while the user signs in elsewhere counts once", async () => {
      const [one, other] = await stores.openTwo({ maxSessionsPerUser: 2 });
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

  describe("and more refused", () => {
    const refusing = (options: SessionStoreOptions = {}) => open({ onLimit: "refuse", ...options });

    it("a further sign-in is an error that stores nothing, until a session ends", async () => {
      const store = await refusing();
      await fill(store);
      await expect(store.save("four", { user: "ada" })).rejects.toMatchObject({
        code: LIMIT,
        message: expect.not.stringContaining("ada"),
      });
      expect(await store.load("four")).toBeNull();
      await expectLive(store, ["one", "two", "three"]);
      await store.destroy("two");
      expect((await store.save("four", { user: "ada" })).outcome).toBe("saved");
    });

    it("a session without a user, or of another user, stays as it was when its sign-in is refused", async () => {
      const store = await refusing();
      await fill(store);
      const plain = (await store.save("plain", { n: 1 })).record ?? undefined;
      const bobs = (await store.save("bob's", { user: "bob" })).record ?? undefined;
      expect(await outcomeOf(store.save("plain", { user: "ada" }, { record: plain }))).toBe(LIMIT);
      expect(await outcomeOf(store.save("bob's", { user: "ada" }, { record: bobs }))).toBe(LIMIT);
      expect((await store.load("plain"))?.data).toEqual({ n: 1 });
      expect(await handlesOf(store, "bob")).toEqual([store.handleOf("bob's")]);
    });

    it("saves, touches and new ids of the user's sessions are not refused", async () => {
      const store = await refusing({ touchAfter: 0 });
      await fill(store);
      const { record } = await store.save(
        "one",
        { user: "ada", n: 1 },
        { record: await loaded(store, "one") },
      );
      if (!record) throw new Error("not saved");
      expect((await store.touch("one", record, { ttl: 90_000_000 })).outcome).toBe("touched");
      const current = await loaded(store, "one");
      expect((await store.rotate("one", "four", current.data, { record: current })).outcome).toBe("saved");
      // A session that begins again under its id has the same place.
      expect((await store.save("two", { user: "ada" })).outcome).toBe("saved");
      await expectLive(store, ["two", "three", "four"]);
    });
  });

  it.each(["end-oldest", "refuse"] as const)(
    "sign-ins at the same time from several stores leave three with `onLimit` %j",
    async (onLimit) => {
      const bucket = newBucket();
      const several = await Promise.all(Array.from({ length: 4 }, () => open({ bucket, onLimit })));
      for (let round = 0; round < 2; round++) {
        const name = `user-${round}`;
        const outcomes = await Promise.all(
          several.flatMap((store, n) =>
            Array.from({ length: 5 }, (_, i) => outcomeOf(store.save(`${name} ${n}-${i}`, { user: name }))),
          ),
        );
        const live = await handlesOf(several[0] as SessionStore<Data>, name);
        expectAllowed(onLimit, outcomes, live.length, 3);
      }
    },
  );
});

describe.each(variants().slice(0, 1))("several processes over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it.each(["end-oldest", "refuse"] as const)(
    "leave no more sessions than allowed when a user signs in to all at the same time with `onLimit` %j",
    async (onLimit) => {
      const options = { bucket: newBucket(), maxSessionsPerUser: 4, onLimit };
      const store = await stores.open(options);
      const outcomes = await signInEverywhere(variant.url, { ...options, name: "ada", count: 15 }, 3);
      expect(outcomes).toHaveLength(45);
      expectAllowed(onLimit, outcomes, (await handlesOf(store, "ada")).length, 4);
    },
  );

  it("refuse to open with a limit and no `user`, and with values that make no sense", async () => {
    const nc = await stores.connect();
    const open = (options: object) => SessionStore.open(nc, { bucket: newBucket(), ...options });
    await expect(open({ maxSessionsPerUser: 3 })).rejects.toThrow(/`user`/);
    for (const wrong of [0, -1, 1.5, "3", Number.POSITIVE_INFINITY]) {
      await expect(open({ user, maxSessionsPerUser: wrong })).rejects.toThrow(/`maxSessionsPerUser`/);
    }
    await expect(open({ user, onLimit: "end-newest" })).rejects.toThrow(/`onLimit`/);
    await expect(open({ user: "id" })).rejects.toThrow(/`user`/);
  });
});

function expectAllowed(onLimit: string, outcomes: string[], live: number, limit: number): void {
  if (onLimit === "end-oldest") {
    expect(new Set(outcomes)).toEqual(new Set(["saved"]));
    expect(live).toBe(limit);
  } else {
    expect(new Set(outcomes)).toEqual(new Set(["saved", LIMIT]));
    expect(live).toBe(outcomes.filter((outcome) => outcome === "saved").length);
    expect(live).toBeGreaterThan(0);
    expect(live).toBeLessThanOrEqual(limit);
  }
}
