import { SessionStoreError } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopClock } from "../support/clock.js";
import { hostileTexts } from "../support/hostile.js";
import { putEntry } from "../support/put-entry.js";
import { type Connection, newBucket, type Variant } from "../support/variants.js";
import type { OpenSubject, Subject } from "./subjects.js";

function cycle(): object {
  const self: Record<string, unknown> = {};
  return Object.assign(self, { self });
}

/** What every store keeps to, whatever framework, client and server it is used with. */
export function conformance(
  variant: Variant,
  open: OpenSubject,
  bucket = newBucket(),
  /** The bucket that holds a session, by the name that the store is opened with. */
  holderOf: (bucket: string, handle: string) => string = (bucket) => bucket,
): void {
  let nc: Connection;
  let subject: Subject;
  let ids = 0;
  const newId = () => `session-${ids++}`;

  beforeAll(async () => {
    nc = await variant.connect();
    subject = await open(nc, { bucket, touchAfter: 0 });
  });
  afterAll(async () => {
    await subject.close();
    await nc.close();
  });
  const read = async (id: string) => (await subject.hold(id))?.data ?? null;

  describe("a session", () => {
    it("is not found before it is stored", async () => {
      expect(await read(newId())).toBeNull();
    });

    it("is read as it was stored", async () => {
      const id = newId();
      const data = { user: "ada", cart: [{ n: 1 }, null], deep: { a: { b: "ü€😀" } }, no: false, zero: 0 };
      await subject.create(id, data);
      expect(await read(id)).toMatchObject(data);
    });

    it("keeps the changes of a later request, and a key that it deleted stays deleted", async () => {
      const id = newId();
      await subject.create(id, { visits: 1, draft: "x" });
      const held = await subject.hold(id);
      if (!held) throw new Error("not found");
      held.data.visits = 2;
      delete held.data.draft;
      await held.save();
      const data = await read(id);
      expect(data).toMatchObject({ visits: 2 });
      expect(data).not.toHaveProperty("draft");
    });

    it("can be saved several times in one request", async () => {
      const id = newId();
      await subject.create(id, { n: 0 });
      const held = await subject.hold(id);
      for (let n = 1; n <= 3; n++) {
        if (held) held.data.n = n;
        await held?.save();
      }
      expect(await read(id)).toMatchObject({ n: 3 });
    });

    it("is replaced by a new session that is stored under its id", async () => {
      const id = newId();
      await subject.create(id, { first: true });
      await subject.create(id, { second: true });
      expect(await read(id)).not.toHaveProperty("first");
    });

    it("keeps its time of creation through saves and touches", async () => {
      const id = newId();
      await subject.create(id, { n: 1 });
      const before = await subject.sessions.load(id);
      const held = await subject.hold(id);
      if (held) held.data.n = 2;
      await held?.save();
      await held?.touch();
      const after = await subject.sessions.load(id);
      expect(after?.createdAt).toBe(before?.createdAt);
      expect(after?.revision).toBeGreaterThan(before?.revision as number);
    });
  });

  describe("destroy", () => {
    it("ends a session, also twice", async () => {
      const id = newId();
      await subject.create(id, { n: 1 });
      await subject.destroy(id);
      await subject.destroy(id);
      expect(await read(id)).toBeNull();
    });

    it("of an unknown session does nothing", async () => {
      await subject.destroy(newId());
    });

    it.each(["save", "touch"] as const)("is not undone by the %s of a request under way", async (write) => {
      const id = newId();
      await subject.create(id, { n: 1 });
      const held = await subject.hold(id);
      await subject.destroy(id);
      if (held && write === "save") held.data.n = 2;
      await held?.[write]();
      expect(await read(id)).toBeNull();
    });

    it("lets a new session begin under the same id", async () => {
      const id = newId();
      await subject.create(id, { n: 1 });
      await subject.destroy(id);
      await subject.create(id, { n: 2 });
      expect(await read(id)).toMatchObject({ n: 2 });
    });
  });

  describe("the ttl", () => {
    const expiryOf = async (id: string) => (await subject.sessions.load(id))?.expiresAt ?? 0;

    it("ends a session to the millisecond, and a later save does not bring it back", async () => {
      const clock = stopClock();
      const id = newId();
      await subject.create(id, { n: 1 }, 60_000);
      const held = await subject.hold(id);
      clock.advanceTo((await expiryOf(id)) - 1);
      expect(await read(id)).not.toBeNull();
      clock.advance(1);
      expect(await read(id)).toBeNull();
      if (held) held.data.n = 2;
      await held?.save();
      expect(await read(id)).toBeNull();
    });

    it("begins again with a touch, which changes nothing else", async () => {
      const clock = stopClock();
      const id = newId();
      await subject.create(id, { n: 1 }, 60_000);
      const end = await expiryOf(id);
      const held = await subject.hold(id);
      clock.advance(40_000);
      await held?.touch();
      expect(await expiryOf(id)).toBeGreaterThanOrEqual(end + 40_000);
      clock.advanceTo(end);
      expect(await read(id)).toMatchObject({ n: 1 });
    });

    it("of 0 ends the session", async () => {
      const id = newId();
      await subject.create(id, { n: 1 });
      const held = await subject.hold(id);
      await held?.save(0);
      expect(await read(id)).toBeNull();
    });

    it("is the option `ttl` where the cookie has no maxAge", async () => {
      stopClock();
      const id = newId();
      await subject.create(id, { n: 1 });
      expect(await expiryOf(id)).toBe(Date.now() + 86_400_000);
    });

    it("beyond `maxTtl` is cut to it, or an error that stores nothing", async () => {
      stopClock();
      const [id, other] = [newId(), newId()];
      const cutting = await open(nc, { bucket, maxTtl: 86_400_000 });
      await cutting.create(id, { n: 1 }, 2 * 86_400_000);
      expect(await expiryOf(id)).toBe(Date.now() + 86_400_000);
      const strict = await open(nc, { bucket, maxTtl: 86_400_000, onTtlTooLong: "error" });
      await expect(strict.create(other, { n: 1 }, 2 * 86_400_000)).rejects.toMatchObject({
        code: "ERR_SESSION_TTL_TOO_LONG",
        message: expect.stringMatching(/172800000.*86400000/s),
      });
      expect(await read(other)).toBeNull();
      await Promise.all([cutting.close(), strict.close()]);
    });
  });

  describe("an id may be any text:", () => {
    it.each(Object.entries(hostileTexts))("%s is loaded, stored and destroyed", async (_name, id) => {
      expect(await read(id)).toBeNull();
      await subject.create(id, { mine: id.length });
      expect(await read(id)).toMatchObject({ mine: id.length });
      await subject.destroy(id);
      expect(await read(id)).toBeNull();
    });

    it("each of them addresses its own session only", async () => {
      const entries = Object.values(hostileTexts);
      await Promise.all(entries.map((id, n) => subject.create(id, { n })));
      await subject.destroy("*");
      await subject.destroy(">");
      const left = await Promise.all(entries.map(async (id) => (await read(id))?.n));
      expect(left).toEqual(entries.map((id, n) => (id === "*" || id === ">" ? undefined : n)));
    });
  });

  describe("what cannot be stored", () => {
    it.each([
      ["a cycle", cycle],
      ["a BigInt", () => 1n],
    ])("%s is an error, and the stored session stays", async (_name, make) => {
      const id = newId();
      await subject.create(id, { n: 1 });
      const held = await subject.hold(id);
      if (held) held.data.bad = make();
      await expect(held?.save()).rejects.toMatchObject({ code: "ERR_SESSION_SERIALIZE" });
      expect(await read(id)).toMatchObject({ n: 1 });
    });

    it("a session larger than a message is an error, and the stored one stays", async () => {
      const id = newId();
      await subject.create(id, { n: 1 });
      const held = await subject.hold(id);
      if (held) held.data.large = "x".repeat(1_100_000);
      await expect(held?.save()).rejects.toMatchObject({
        code: "ERR_SESSION_TOO_LARGE",
        message: expect.stringMatching(/1100\d+ bytes.*1048\d{3}/s),
      });
      expect(await read(id)).toMatchObject({ n: 1 });
    });
  });

  describe("a value written by another client", () => {
    const put = async (id: string, value: string) => {
      // The headers of a session, so that only the value is wrong.
      const now = Date.now();
      const handle = subject.sessions.handleOf(id);
      await putEntry(nc, holderOf(bucket, handle), `s.${handle}`, value, {
        "Session-Format": "1",
        "Session-Created": String(now),
        "Session-Expires": String(now + 60_000),
        "Session-Write": "create",
      });
    };

    it.each(["{", "", '"text"', "null", "\u0000"])(
      "that is %j is an error, and other sessions are not affected",
      async (value) => {
        const id = newId();
        const other = newId();
        await subject.create(other, { n: 1 });
        await put(id, value);
        await expect(read(id)).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
        expect(await read(other)).toMatchObject({ n: 1 });
        await subject.destroy(id);
        expect(await read(id)).toBeNull();
      },
    );

    it("changes no prototype", async () => {
      const id = newId();
      await put(
        id,
        '{"cookie":{"originalMaxAge":null,"path":"/"},"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":2},"constructor":{"prototype":{"polluted":3}}},"n":1}',
      );
      const held = await subject.hold(id);
      expect(held?.data.n).toBe(1);
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      expect(held?.data.polluted).toBeUndefined();
      expect((Object.assign({}, held?.data.a) as Record<string, unknown>).polluted).toBeUndefined();
    });
  });

  describe("a prefix", () => {
    it("keeps two applications in one bucket apart", async () => {
      const [one, two] = await Promise.all([
        open(nc, { bucket, prefix: "one" }),
        open(nc, { bucket, prefix: "two.b" }),
      ]);
      const id = newId();
      await one.create(id, { n: 1 });
      expect(await two.hold(id)).toBeNull();
      await two.create(id, { n: 2 });
      await one.destroy(id);
      expect((await two.hold(id))?.data).toMatchObject({ n: 2 });
      expect(await two.sessions.count({ exact: true })).toBe(1);
      await two.sessions.clear();
      expect(await two.hold(id)).toBeNull();
      expect(await subject.sessions.count({ exact: true })).toBeGreaterThan(0);
      await Promise.all([one.close(), two.close()]);
    });
  });

  it("a closed store refuses every operation with a code", async () => {
    const closed = await open(nc, { bucket });
    await closed.close();
    await closed.close();
    await expect(closed.hold("x")).rejects.toBeInstanceOf(SessionStoreError);
    await expect(closed.create("x", {})).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
    await expect(closed.destroy("x")).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
  });
}
