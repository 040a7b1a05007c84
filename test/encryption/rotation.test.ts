import type { EncryptionOptions, SessionRecord, SessionStore, SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { type Connection, newBucket, type Variant, variants } from "../support/variants.js";
import { until, untilTime } from "../support/wait.js";
import { encryptionBy } from "./keys.js";
import { RawBucket } from "./stored.js";

/** What sessions were begun with, before the store was opened with the key `new` first. */
const times: Record<string, { before: EncryptionOptions | undefined; after: EncryptionOptions }> = {
  "an older key": { before: encryptionBy("old"), after: encryptionBy("new", "old") },
  "no key": { before: undefined, after: encryptionBy("new") },
};

for (const variant of variants().filter(({ name }) => name.startsWith("@nats-io"))) {
  describe.each(Object.entries(times))(`sessions of the time of %s over ${variant.name}`, (_name, time) =>
    rotation(variant, time.before, time.after),
  );
}

function rotation(variant: Variant, before: EncryptionOptions | undefined, after: EncryptionOptions): void {
  let nc: Connection;
  let bucket: string;
  let old: SessionStore;
  let store: SessionStore;
  let raw: RawBucket;
  const opened: SessionStore[] = [];
  const open = async (encryption: EncryptionOptions | undefined, options: SessionStoreOptions = {}) => {
    const user = (data: { user?: string }) => data.user;
    const common = { bucket, touchAfter: 0, user, ...options };
    const one = await openPatient(nc, encryption ? { ...common, encryption } : common);
    opened.push(one);
    return one;
  };
  const loaded = async (from: SessionStore, id: string): Promise<SessionRecord> => {
    const record = await from.load(id);
    if (!record) throw new Error("not found");
    return record;
  };
  const keyIn = (from: SessionStore, id: string) => `s.${from.handleOf(id)}`;
  const listed = async (from: SessionStore, user: string) => {
    const handles: string[] = [];
    for await (const { handle } of from.listOf(user)) handles.push(handle);
    return handles;
  };

  beforeAll(async () => {
    nc = await variant.connect();
  });
  beforeEach(async () => {
    bucket = newBucket();
    raw = new RawBucket(nc, bucket);
    old = await open(before);
    store = await open(after);
  });
  afterAll(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await nc.close();
  });

  it("are found, and a save moves them to the newest key and name", async () => {
    await old.save("one", { n: 1, user: "ada" });
    const record = await loaded(store, "one");
    expect(record).toMatchObject({ data: { n: 1 }, handle: old.handleOf("one") });
    expect(store.isOf("one", record)).toBe(true);
    const saved = await store.save("one", { n: 2, user: "ada" }, { record });
    expect(saved).toMatchObject({ outcome: "saved", record: { handle: store.handleOf("one") } });
    expect(saved.record?.createdAt).toBe(record.createdAt);
    expect((await raw.get(keyIn(store, "one"))).headers["Session-Key"]).toBe("new");
    await until("the old names are gone", async () => {
      const keys = (await raw.keys()).join();
      return !keys.includes(old.handleOf("one")) && !keys.includes(old.ownerOf("ada"));
    });
    expect(await loaded(store, "one")).toMatchObject({ data: { n: 2 }, handle: store.handleOf("one") });
  });

  it("a touch moves them too, and changes nothing else", async () => {
    await old.save("one", { n: 1 }, { ttl: 60_000 });
    const record = await loaded(store, "one");
    const touched = await store.touch("one", record, { ttl: 120_000 });
    expect(touched).toMatchObject({ outcome: "touched", record: { handle: store.handleOf("one") } });
    const after = await loaded(store, "one");
    expect(after).toMatchObject({
      data: { n: 1 },
      handle: store.handleOf("one"),
      createdAt: record.createdAt,
    });
    expect(after.expiresAt).toBe(touched.record?.expiresAt);
    expect((await store.touch("one", touched.record as never, { ttl: 180_000 })).outcome).toBe("touched");
    expect((await store.save("one", { n: 2 }, { record: after })).outcome).toBe("saved");
  });

  it("a touch that is skipped leaves them where they are", async () => {
    const seldom = await open(after, { touchAfter: 3_600_000 });
    await old.save("one", { n: 1 });
    const record = await loaded(seldom, "one");
    expect((await seldom.touch("one", record)).outcome).toBe("skipped");
    expect((await loaded(old, "one")).revision).toBe(record.revision);
  });

  it("a request that still holds one under its old name finds it, and nothing is lost", async () => {
    await old.save("one", { a: 1, b: 1, c: 1 });
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => loaded(store, "one")));
    if (!first || !second || !third) throw new Error("not loaded");
    await store.save("one", { ...first.data, a: 2 }, { record: first });
    const merged = await store.save("one", { ...second.data, b: 2 }, { record: second });
    expect(merged).toMatchObject({ outcome: "merged", record: { handle: store.handleOf("one") } });
    expect((await store.touch("one", third)).outcome).not.toBe("gone");
    expect((await loaded(store, "one")).data).toEqual({ a: 2, b: 2, c: 1 });
  });

  it("a destroy ends them under every name, and what is under way does not bring them back", async () => {
    await old.save("one", { n: 1 });
    const record = await loaded(store, "one");
    expect(await store.destroy("one")).toBe(true);
    expect((await store.save("one", { n: 2 }, { record })).outcome).toBe("gone");
    expect((await store.touch("one", record)).outcome).toBe("gone");
    expect(await store.load("one")).toBeNull();
    expect(await old.load("one")).toBeNull();

    await old.save("two", { n: 1 });
    const held = await loaded(store, "two");
    await store.save("two", { n: 2 }, { record: await loaded(store, "two") });
    expect(await store.destroy("two")).toBe(true);
    expect((await store.save("two", { n: 3 }, { record: held })).outcome).toBe("gone");
    expect(await store.load("two")).toBeNull();
  });

  it("an old handle leads to the session after it was moved", async () => {
    await old.save("one", { n: 1, user: "ada" });
    const record = await loaded(store, "one");
    await store.save("one", { n: 2, user: "ada" }, { record });
    expect(await store.destroyHandle(record.handle, { user: "grace" })).toBe(false);
    expect(await store.destroyHandle(record.handle, { user: "ada" })).toBe(true);
    expect(await store.load("one")).toBeNull();
  });

  it("a session that begins takes the place of the one under the old name", async () => {
    await old.save("one", { n: 1 });
    await store.save("one", { n: 2 });
    expect((await loaded(store, "one")).data).toEqual({ n: 2 });
    expect(await store.destroyHandle(store.handleOf("one"))).toBe(true);
    expect(await store.load("one")).toBeNull();
  });

  it("get another id by `rotate`, and end under the old one", async () => {
    await old.save("one", { n: 1, user: "ada" });
    const record = await loaded(store, "one");
    const rotated = await store.rotate("one", "two", { n: 2, user: "ada" }, { record });
    expect(rotated).toMatchObject({ outcome: "saved", record: { handle: store.handleOf("two") } });
    expect(await store.load("one")).toBeNull();
    expect(await loaded(store, "two")).toMatchObject({ data: { n: 2 }, createdAt: record.createdAt });
    await until("there is one in the index", async () => (await listed(store, "ada")).length === 1);
  });

  it("are listed and ended by user, each once, whatever their names are", async () => {
    await old.save("one", { user: "ada" });
    await old.save("two", { user: "ada" });
    await old.save("other", { user: "grace" });
    await store.save("three", { user: "ada" });
    await store.save("two", { user: "ada", n: 2 }, { record: await loaded(store, "two") });
    expect((await listed(store, "ada")).sort()).toEqual(
      [old.handleOf("one"), store.handleOf("two"), store.handleOf("three")].sort(),
    );
    expect(await store.destroyOf("ada", { except: store.handleOf("two") })).toBe(2);
    expect(await listed(store, "ada")).toEqual([store.handleOf("two")]);
    expect(await store.load("other")).not.toBeNull();
  });

  it("the one that is spared may be given by its newest handle, or by an old one", async () => {
    await old.save("one", { user: "ada" });
    await old.save("two", { user: "ada" });
    // It is where it was begun, and its newest name is not in the bucket yet.
    expect(await store.destroyOf("ada", { except: store.handleOf("one") })).toBe(1);
    const record = await loaded(store, "one");
    await store.save("one", { user: "ada", n: 1 }, { record });
    expect(await store.destroyOf("ada", { except: record.handle })).toBe(0);
    expect(await store.load("one")).not.toBeNull();
  });

  it("count for the limit of their user, and are no sign-in when they are moved", async () => {
    const limited = await open(after, { maxSessionsPerUser: 2, onLimit: "refuse" });
    await old.save("one", { user: "ada" });
    await untilTime(Date.now());
    await old.save("two", { user: "ada" });
    await expect(limited.save("three", { user: "ada" })).rejects.toMatchObject({ code: "ERR_SESSION_LIMIT" });
    const record = await loaded(limited, "one");
    expect((await limited.save("one", { user: "ada", n: 1 }, { record })).outcome).toBe("saved");
    const ending = await open(after, { maxSessionsPerUser: 2 });
    await ending.save("four", { user: "ada" });
    expect(await listed(store, "ada")).toHaveLength(2);
    expect(await store.load("one")).toBeNull();
  });

  it("tell of their move as of an end and a beginning, with the names that are stored", async () => {
    await old.save("one", { user: "ada" });
    const record = await loaded(store, "one");
    const changes = store.changes();
    await changes.ready;
    await store.save("one", { user: "ada", n: 1 }, { record });
    const told: unknown[] = [];
    for await (const change of changes) {
      if (change.type === "missed") continue;
      told.push([change.type, change.handle, change.owner]);
      if (change.type === "created") break;
    }
    const move = [
      ["destroyed", old.handleOf("one"), store.ownerOf("ada")],
      ["created", store.handleOf("one"), store.ownerOf("ada")],
    ];
    // A write may be left out that was overwritten before the late word of it came.
    expect([[["updated", old.handleOf("one"), store.ownerOf("ada")], ...move], move]).toContainEqual(told);
  });

  it("are an error, not signed out, in a process that was not given the new key", async () => {
    await old.save("one", { n: 1 });
    const held = await loaded(old, "one");
    await store.save("one", { n: 2 }, { record: await loaded(store, "one") });
    const unknown = { code: "ERR_SESSION_KEY_UNKNOWN", message: expect.stringContaining('"new"') };
    await expect(old.load("one")).rejects.toMatchObject(unknown);
    await expect(old.save("one", { n: 3 }, { record: held })).rejects.toMatchObject(unknown);
    await expect(old.touch("one", held)).rejects.toMatchObject(unknown);
    expect((await loaded(store, "one")).data).toEqual({ n: 2 });
  });

  describe("a move that was broken off in the middle", () => {
    /** As a process does it that dies between the first write of a move and the second. */
    const breakOff = async (id: string) => {
      const dying = await openPatient(dyingInMove(nc), {
        ...{ bucket, touchAfter: 0, encryption: after },
        user: (data: { user?: string }) => data.user,
      });
      await old.save(id, { n: 1, user: "ada" });
      const held = await loaded(dying, id);
      const { outcome } = await dying.save(id, { n: 2, user: "ada" }, { record: await loaded(dying, id) });
      expect(outcome).toBe("saved");
      await dying.close();
      expect(await raw.keys()).not.toContain(keyIn(store, id));
      expect(await raw.keys()).not.toContain(keyIn(old, id));
      return held;
    };

    it("is brought to its end by a load", async () => {
      await breakOff("one");
      expect(await loaded(store, "one")).toMatchObject({ data: { n: 2 }, handle: store.handleOf("one") });
      expect((await raw.get(keyIn(old, "one"))).value).toHaveLength(0);
    });

    if (before) {
      it("also by one for which the old name is still the newest", async () => {
        await breakOff("one");
        const behind = await open({ keys: [...before.keys, ...after.keys.slice(0, 1)] });
        expect(await loaded(behind, "one")).toMatchObject({ data: { n: 2 }, handle: store.handleOf("one") });
      });
    }

    it("by a save and a touch of what was loaded before it", async () => {
      const held = await breakOff("one");
      const saved = await store.save("one", { ...held.data, mine: 1 }, { record: held });
      expect(saved).toMatchObject({ outcome: "merged", record: { data: { n: 2, mine: 1 } } });
      const other = await breakOff("two");
      expect((await store.touch("two", other)).outcome).not.toBe("gone");
      expect((await loaded(store, "two")).data).toMatchObject({ n: 2 });
    });

    it("by a listing of its user's sessions", async () => {
      await breakOff("one");
      expect(await listed(store, "ada")).toEqual([store.handleOf("one")]);
    });

    it.each([
      ["destroy", () => store.destroy("one")],
      ["destroyHandle", () => store.destroyHandle(old.handleOf("one"))],
      ["destroyOf", () => store.destroyOf("ada")],
      ["clear", () => store.clear()],
    ])("and is no way around %s", async (_name, end) => {
      const held = await breakOff("one");
      await end();
      expect(await store.load("one")).toBeNull();
      expect((await store.save("one", { n: 3 }, { record: held })).outcome).toBe("gone");
      expect(await store.load("one")).toBeNull();
    });
  });

  it("are found by a near cache after another process has moved them", async () => {
    const cached = await open(after, { cache: true });
    await old.save("one", { n: 1 });
    const record = await loaded(cached, "one");
    const saved = await cached.save("one", { n: 2 }, { record });
    await until("it is served from the cache", async () => {
      await loaded(cached, "one");
      return (cached.cacheStats()?.hits ?? 0) > 0;
    });
    expect(saved.record?.handle).toBe(store.handleOf("one"));
    await store.save("one", { n: 3 }, { record: await loaded(store, "one") });
    await until("the change is seen", async () => (await loaded(cached, "one")).data.n === 3);
    await store.destroy("one");
    await until("the end is seen", async () => (await cached.load("one")) === null);
  });

  it("that nobody has cost one read for each name, and one more for the newest", async () => {
    const { resolveOptions } = await import("../../packages/core/src/options.js");
    const { keys } = resolveOptions({ encryption: after }).encryption ?? { keys: [] };
    let reads = 0;
    const subscription = (nc as unknown as { subscribe: Connection["subscribe"] }).subscribe(
      `$JS.API.DIRECT.GET.KV_${bucket}.>`,
      { callback: () => void reads++ },
    );
    await nc.flush();
    expect(await store.load("nobody has this")).toBeNull();
    await nc.flush();
    expect(reads).toBe(keys.length + 2);
    subscription.unsubscribe();
  });
}

/** A connection on which nothing more is sent once a session was taken from its old place. */
function dyingInMove(nc: Connection): Connection {
  let dead = false;
  const publish: Connection["publish"] = (subject, payload, options) => {
    if (dead) throw new Error("nothing is sent any more");
    nc.publish(subject, payload, options);
    const headers = (options?.headers as { encode(): Uint8Array } | undefined)?.encode() ?? [];
    dead = Buffer.from(headers).includes("Session-Renamed-To: ");
  };
  return new Proxy(nc, {
    get(target, name) {
      if (name === "publish") return publish;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("a bucket in use, with `allowPlain: false`", () => {
  it("refuses what is plain, and reads what was moved", async () => {
    const [variant] = variants();
    const nc = await (variant as Variant).connect();
    const bucket = newBucket();
    const plain = await openPatient(nc, { bucket });
    const strict = await openPatient(nc, {
      bucket,
      encryption: { ...encryptionBy("k1"), allowPlain: false },
    });
    const store = await openPatient(nc, { bucket, encryption: encryptionBy("k1") });
    await plain.save("moved", { n: 1 });
    await plain.save("left", { n: 1 });
    await store.save("moved", { n: 2 }, { record: (await store.load("moved")) ?? undefined });
    expect((await strict.load("moved"))?.data).toEqual({ n: 2 });
    const refused = { code: "ERR_SESSION_CORRUPT", message: expect.stringContaining("allowPlain") };
    await expect(strict.load("left")).rejects.toMatchObject(refused);
    // A plain value in the place of an encrypted one is refused too.
    const raw = new RawBucket(nc, bucket);
    await raw.put(`s.${store.handleOf("moved")}`, await raw.get(`s.${plain.handleOf("left")}`));
    await expect(strict.load("moved")).rejects.toMatchObject(refused);
    expect(await strict.destroy("left")).toBe(true);
    expect(await strict.load("left")).toBeNull();
    expect(await plain.load("left")).toBeNull();
    await Promise.all([plain, strict, store].map((one) => one.close()));
    await nc.close();
  });
});
