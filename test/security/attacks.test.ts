import { type SessionStore, SessionStoreError } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encryptionBy } from "../encryption/keys.js";
import { RawBucket } from "../encryption/stored.js";
import { openPatient } from "../support/patient.js";
import { putEntry } from "../support/put-entry.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";

interface Data {
  user?: string;
  [key: string]: unknown;
}

/** Names that would widen a subject, end a header, or hide in one. */
const hostile = [
  "*",
  ">",
  "a.b",
  ".",
  "$JS.API.STREAM.DELETE.KV_x",
  "u.*",
  "x\r\nNats-Rollup: all\r\n",
  "\0",
  "\ud800",
  "\ud801",
  " ",
  "\u202e",
  "__proto__",
  "x".repeat(10_240),
];

describe.each([
  ["plain", undefined],
  ["encrypted", encryptionBy("newest", "older")],
])("a store that is attacked, %s", (_name, encryption) => {
  let nc: Connection;
  let store: SessionStore<Data>;
  /** Nothing is going on in it but what a test asks for. */
  let idle: SessionStore<Data>;
  let raw: RawBucket;
  const bucket = newBucket();
  const idleBucket = newBucket();
  /** All subjects on which anything was said about the bucket. */
  const subjects: string[] = [];

  beforeAll(async () => {
    nc = await connectCurrent();
    nc.subscribe(">", {
      callback: (_error, message: { subject: string } | undefined) => {
        if (message?.subject.includes(bucket) || message?.subject.includes(idleBucket))
          subjects.push(message.subject);
      },
    });
    const user = (data: Data) => data.user;
    store = await openPatient<Data>(nc, { bucket, user, touchAfter: 0, encryption });
    idle = await openPatient<Data>(nc, { bucket: idleBucket, encryption });
    raw = new RawBucket(nc, bucket);
  });
  afterAll(async () => {
    await Promise.all([store.close(), idle.close()]);
    await nc.close();
  });
  const listed = async (user: string) => {
    const list: Data[] = [];
    for await (const { data } of store.listOf(user)) list.push(data);
    return list;
  };

  describe("by names", () => {
    it.each(hostile.map((name) => ({ name })))(
      "user $name has their own sessions alone",
      async ({ name }) => {
        await store.save(`the victim of ${name}`, { user: "victim" });
        await store.save(`of ${name}`, { user: name, mine: true });
        expect(await listed(name)).toEqual([{ user: name, mine: true }]);
        expect(await store.destroyHandle(store.handleOf(`the victim of ${name}`), { user: name })).toBe(
          false,
        );
        expect(await store.destroyOf(name)).toBe(1);
        expect(await store.load(`the victim of ${name}`)).not.toBeNull();
        expect(await listed(name)).toEqual([]);
      },
    );

    it.each(["", undefined, null, 5, {}, ["victim"]].map((name) => ({ name })))(
      "user $name is a TypeError, or nobody",
      async ({ name }) => {
        await expect(store.destroyOf(name as never)).rejects.toThrow(TypeError);
        await expect(listed(name as never)).rejects.toThrow(TypeError);
        expect(() => store.ownerOf(name as never)).toThrow(TypeError);
      },
    );

    it.each(hostile.map((handle) => ({ handle })))("handle $handle is nobody's", async ({ handle }) => {
      await store.save("a bystander", { user: "bystander" });
      const before = subjects.length;
      expect(await idle.destroyHandle(handle)).toBe(false);
      expect(await store.destroyHandle(handle)).toBe(false);
      await nc.flush();
      expect(subjects.slice(before).filter((subject) => subject.includes(idleBucket))).toEqual([]);
      expect(await store.destroyOf("bystander", { except: handle })).toBe(1);
    });

    it("a handle that is made up in the right shape is nobody's", async () => {
      await store.save("a bystander", { user: "bystander" });
      expect(await store.destroyHandle("A".repeat(43))).toBe(false);
      // Of another kind: the name of a user is none of a session.
      expect(await store.destroyHandle(store.ownerOf("bystander"))).toBe(false);
      expect(await store.load("a bystander")).not.toBeNull();
    });

    it("what reaches the wire is of the same shape for every id: its content does nothing there", async () => {
      const reads = "$JS.API.DIRECT.GET.KV_";
      const seen = new Set<string>();
      for (const id of [...hostile, "", "a", "an ordinary id of the usual length", "x".repeat(100_000)]) {
        const before = subjects.length;
        await idle.load(id);
        await nc.flush();
        const asked = subjects.slice(before).filter((subject) => subject.startsWith(`${reads}${idleBucket}`));
        for (const subject of asked) expect(subject).not.toContain(id.length > 3 ? id : "\u0000");
        // The id is only ever looked up by its hash, so how much of it is right cannot be seen from the time.
        seen.add(asked.map((subject) => subject.replace(/[A-Za-z0-9_-]{43}$/, "<handle>")).join());
      }
      expect([...seen]).toHaveLength(1);
      expect([...seen][0]).toContain(`$KV.${idleBucket}.s.<handle>`);
    });
  });

  it("a session that was destroyed is not brought back by its old id, record, or handle", async () => {
    const { record } = await store.save("signed out", { user: "ada", n: 1 });
    const held = await store.load("signed out");
    await store.destroy("signed out");
    for (const old of [record, held]) {
      if (!old) throw new Error("not saved");
      expect((await store.save("signed out", old.data, { record: old })).outcome).toBe("gone");
      expect((await store.touch("signed out", old)).outcome).toBe("gone");
      const rotated = await store.rotate("signed out", "another id", old.data, { record: old });
      expect(rotated.outcome).toBe("gone");
    }
    expect(await store.load("signed out")).toBeNull();
    expect(await store.load("another id")).toBeNull();
    expect(await store.destroyHandle(store.handleOf("signed out"))).toBe(false);
  });

  it("a record is of no use for another session", async () => {
    const { record } = await store.save("mine", { user: "mallory" });
    await store.save("yours", { user: "ada" });
    const options = { record: record as never };
    await expect(store.save("yours", { user: "mallory" }, options)).rejects.toThrow(TypeError);
    await expect(store.touch("yours", record as never)).rejects.toThrow(TypeError);
    await expect(store.rotate("yours", "other", {}, options)).rejects.toThrow(TypeError);
    expect((await store.load("yours"))?.data).toEqual({ user: "ada" });
  });

  describe("by values that somebody put into the bucket", () => {
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
    ])("%s: an error with the code or a session, and the process goes on", async (_what, value) => {
      await put("poisoned", value);
      const outcome = await store.load("poisoned").catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: "ERR_SESSION_CORRUPT" });
      else expect(outcome).toMatchObject({ data: expect.any(Object) });
      // A save and a merge on top of it do not fall over it either.
      await store.save("beside it", { n: 1 });
      expect((await store.load("beside it"))?.data).toEqual({ n: 1 });
      for await (const { data } of store.all()) expect(data).toBeTypeOf("object");
      expect(await store.destroy("poisoned")).toBe(true);
    });

    it("a session that became deeply nested while it was held is an error of the save, or is merged", async () => {
      await store.save("nested", { a: 1 });
      const held = await store.load("nested");
      const deep = `{"a":1,"b":${"[".repeat(400_000)}${"]".repeat(400_000)}}`;
      const { createdAt = 0 } = held ?? {};
      await put("nested", deep);
      const before = await store.load("nested").catch((error: unknown) => error);
      const saved = await store
        .save("nested", { a: 2 }, { record: held ?? undefined })
        .catch((error: unknown) => error);
      if (saved instanceof Error) expect(saved).toBeInstanceOf(SessionStoreError);
      expect(before).toBeDefined();
      expect(createdAt).toBeGreaterThan(0);
    });

    it("`__proto__` and `constructor.prototype` change no prototype, through a merge either", async () => {
      const bad =
        '{"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":2}},"constructor":{"prototype":{"polluted":3}}}';
      await store.save("proto", { a: {}, b: 1 });
      const held = await store.load("proto");
      await put("proto", bad);
      const record = await store.load("proto");
      await store.save("proto", { ...record?.data, n: 1 }, { record: record ?? undefined });
      await store.save("proto", { ...held?.data, n: 2 }, { record: held ?? undefined });
      await store.load("proto");
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      expect(Object.keys(Object.prototype)).toEqual([]);
    });

    it("values of two sessions that are swapped are refused where they are encrypted", async () => {
      await store.save("ada's", { user: "ada" });
      await store.save("mallory's", { user: "mallory" });
      const keys = ["ada's", "mallory's"].map((id) => `s.${store.handleOf(id)}`) as [string, string];
      const [one, two] = await Promise.all(keys.map((key) => raw.get(key)));
      if (!one || !two) throw new Error("not stored");
      await raw.put(keys[1], one);
      const outcome = await store.load("mallory's").catch((error: unknown) => error);
      // Without encryption the bucket is as safe as the accounts that may write to it, as the README says.
      if (encryption) expect(outcome).toMatchObject({ code: "ERR_SESSION_CORRUPT" });
      else expect(outcome).toMatchObject({ data: { user: "ada" } });
      await raw.put(keys[1], two);
    });

    it("a marker that leads to somebody else's session is not followed", async () => {
      await store.save("victim", { user: "ada" });
      await putEntry(nc, bucket, `s.${store.handleOf("mallory")}`, "", {
        "KV-Operation": "DEL",
        "Session-Renamed-To": store.handleOf("victim"),
        "Session-Key": "newest",
      });
      const outcome = await store.load("mallory").catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: "ERR_SESSION_KEY_UNKNOWN" });
      else expect(outcome).toBeNull();
    });

    it("markers that lead in a circle end nothing and hold nobody up", async () => {
      const handles = ["circle 1", "circle 2"].map((id) => store.handleOf(id));
      for (const [n, handle] of handles.entries()) {
        await putEntry(nc, bucket, `s.${handle}`, "", {
          "KV-Operation": "DEL",
          "Session-Renamed-To": handles[1 - n] as string,
          "Session-Key": "newest",
        });
      }
      expect(await store.destroyHandle(handles[0] as string)).toBe(false);
    });
  });
});
