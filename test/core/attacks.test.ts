import { type SessionStore, SessionStoreError } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostileTexts } from "../support/hostile.js";
import { encryptionBy } from "../support/keys.js";
import { openPatient } from "../support/patient.js";
import { putEntry } from "../support/put-entry.js";
import { type Data, sessionsOf, user } from "../support/stores.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";

const hostile = Object.entries(hostileTexts).filter(([, text]) => text !== "");

describe.each([
  ["plain", undefined],
  ["encrypted", { ...encryptionBy("newest", "older"), allowPlain: true }],
])("an attacker of a store whose sessions are %s", (_name, encryption) => {
  let nc: Connection;
  let store: SessionStore<Data>;
  /** A store in a bucket where nothing happens but what a test asks for. */
  let idle: SessionStore<Data>;
  const bucket = newBucket();
  const idleBucket = newBucket();
  /** The subjects of all messages about the idle bucket. */
  const subjects: string[] = [];

  beforeAll(async () => {
    nc = await connectCurrent();
    nc.subscribe(">", {
      callback: (_error, message: { subject: string } | undefined) => {
        if (message?.subject.includes(idleBucket)) subjects.push(message.subject);
      },
    });
    store = await openPatient<Data>(nc, { bucket, user, touchAfter: 0, encryption });
    idle = await openPatient<Data>(nc, { bucket: idleBucket, encryption });
  });
  afterAll(async () => {
    await Promise.all([store.close(), idle.close()]);
    await nc.close();
  });

  it.each(hostile)("whose user name is %s reaches no session of another user", async (_what, name) => {
    await store.save(`the victim of ${name}`, { user: "victim" });
    await store.save(`of ${name}`, { user: name, mine: true });
    expect((await sessionsOf(store, name)).map(({ data }) => data)).toEqual([{ user: name, mine: true }]);
    const victim = store.handleOf(`the victim of ${name}`);
    expect(await store.destroyByHandle(victim, { user: name })).toBe(false);
    expect(await store.destroyByUser(name)).toBe(1);
    expect(await store.load(`the victim of ${name}`)).not.toBeNull();
    expect(await sessionsOf(store, name)).toEqual([]);
  });

  it.each(["", undefined, null, 5, {}, ["victim"]].map((name) => ({ name })))(
    "who makes the application ask for the user $name causes a TypeError",
    async ({ name }) => {
      await expect(store.destroyByUser(name as never)).rejects.toThrow(TypeError);
      await expect(sessionsOf(store, name as never)).rejects.toThrow(TypeError);
      expect(() => store.hashUser(name as never)).toThrow(TypeError);
    },
  );

  it.each(Object.entries(hostileTexts))(
    "whose handle is %s ends no session and sends nothing",
    async (_what, handle) => {
      await store.save("a bystander", { user: "bystander" });
      const before = subjects.length;
      expect(await idle.destroyByHandle(handle)).toBe(false);
      expect(await store.destroyByHandle(handle)).toBe(false);
      expect(await store.destroyByHandle(handle, { user: "bystander" })).toBe(false);
      await nc.flush();
      expect(subjects.slice(before)).toEqual([]);
      expect(await store.destroyByUser("bystander", { except: handle })).toBe(1);
    },
  );

  it("with a made-up handle of the right form, or the hash of a user, ends no session", async () => {
    await store.save("a bystander", { user: "bystander" });
    for (const handle of ["A".repeat(43), store.hashUser("bystander")]) {
      expect(await store.destroyByHandle(handle)).toBe(false);
    }
    expect(await store.load("a bystander")).not.toBeNull();
  });

  it("cannot tell ids apart by the messages they cause: their content never reaches the network", async () => {
    const start = `$JS.API.DIRECT.GET.KV_${idleBucket}`;
    const seen = new Set<string>();
    for (const id of [
      ...Object.values(hostileTexts),
      "a",
      "an ordinary id of the usual length",
      "x".repeat(100_000),
    ]) {
      const before = subjects.length;
      await idle.load(id);
      await nc.flush();
      const asked = subjects.slice(before).filter((subject) => subject.startsWith(start));
      seen.add(asked.map((subject) => subject.replace(/[A-Za-z0-9_-]{43}$/, "<handle>")).join());
    }
    expect([...seen]).toHaveLength(1);
    expect([...seen][0]).toContain(`$KV.${idleBucket}.s.<handle>`);
  });

  it("with the old id, record or handle of a destroyed session does not bring it back", async () => {
    const { record } = await store.save("signed out", { user: "ada", n: 1 });
    const held = await store.load("signed out");
    await store.destroy("signed out");
    for (const [n, old] of [record, held].entries()) {
      if (!old) throw new Error("not saved");
      expect((await store.save("signed out", old.data, { record: old })).outcome).toBe("gone");
      expect((await store.touch("signed out", old)).outcome).toBe("gone");
      const rotated = await store.rotate("signed out", `another id ${n}`, old.data, { record: old });
      expect(rotated.outcome).toBe("gone");
    }
    for (const id of ["signed out", "another id 0", "another id 1"]) expect(await store.load(id)).toBeNull();
    expect(await store.destroyByHandle(store.handleOf("signed out"))).toBe(false);
  });

  it("with the record of one session cannot write another", async () => {
    const { record } = await store.save("mine", { user: "mallory" });
    await store.save("yours", { user: "ada" });
    const options = { record: record as never };
    await expect(store.save("yours", { user: "mallory" }, options)).rejects.toThrow(TypeError);
    await expect(store.touch("yours", record as never)).rejects.toThrow(TypeError);
    await expect(store.rotate("yours", "other", {}, options)).rejects.toThrow(TypeError);
    expect((await store.load("yours"))?.data).toEqual({ user: "ada" });
  });

  describe("who writes to the bucket", () => {
    const put = async (id: string, value: string | Uint8Array) => {
      const now = Date.now();
      await putEntry(nc, bucket, `s.${store.handleOf(id)}`, value, {
        "Session-Format": "1",
        "Session-Created": String(now),
        "Session-Expires": String(now + 60_000),
        "Session-Write": "create",
      });
    };

    it.each([
      ["900 kB of opening brackets", "[".repeat(900_000)],
      ["900 kB of nested objects", '{"a":'.repeat(180_000)],
      ["450 000 nested arrays that are closed", `{"a":${"[".repeat(450_000)}${"]".repeat(450_000)}}`],
      ["bytes that are no text", Buffer.alloc(900_000, 0xff)],
      ["a number of 900 000 digits", "9".repeat(900_000)],
      ["a string that does not end", `{"a":"${"x".repeat(900_000)}`],
    ])("stops no process with %s", async (_what, value) => {
      await store.save("poisoned", { a: 1 });
      const held = await store.load("poisoned");
      await put("poisoned", value);
      const loaded = await store.load("poisoned").catch((error: unknown) => error);
      if (loaded instanceof Error) expect(loaded).toMatchObject({ code: "ERR_SESSION_CORRUPT" });
      else expect(loaded).toMatchObject({ data: expect.any(Object) });
      const saving = store.save("poisoned", { a: 2 }, { record: held ?? undefined });
      const saved = await saving.catch((error: unknown) => error);
      if (saved instanceof Error) expect(saved).toBeInstanceOf(SessionStoreError);
      await store.save("beside it", { n: 1 });
      expect((await store.load("beside it"))?.data).toEqual({ n: 1 });
      for await (const { data } of store.all()) expect(data).toBeTypeOf("object");
      expect(await store.destroy("poisoned")).toBe(true);
    });

    it("holds no destroy up with tombstones of rotations that lead in a circle", async () => {
      const handles = ["circle 1", "circle 2"].map((id) => store.handleOf(id));
      for (const [n, handle] of handles.entries()) {
        const headers = { "KV-Operation": "DEL", "Session-Moved-To": handles[1 - n] as string };
        await putEntry(nc, bucket, `s.${handle}`, "", headers);
      }
      expect(await store.load("circle 1")).toBeNull();
      expect(await store.destroyByHandle(handles[0] as string)).toBe(false);
    });
  });
});
