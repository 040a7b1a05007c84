import { SessionStoreError } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { putEntry } from "../support/put-entry.js";
import { type Connection, newBucket, type Variant } from "../support/variants.js";
import { untilTime, withinLife } from "../support/wait.js";
import type { OpenSubject, Subject } from "./subjects.js";

/** Ids that would be trouble in a subject, a header or a file name. */
const hostileIds = {
  empty: "",
  "a wildcard": "*",
  "the full wildcard": ">",
  "with a dot": "a.b",
  "a dot alone": ".",
  "with spaces": " a b ",
  "with a line break": "a\r\nKV-Operation: DEL\r\n",
  NUL: "\0",
  emoji: "🍪🍪",
  "a lone surrogate": "\ud800",
  "another lone surrogate": "\ud801",
  "10 kB": "x".repeat(10_240),
  __proto__: "__proto__",
};

/** What every store keeps to, whatever framework, client and server it is used with. */
export function conformance(variant: Variant, open: OpenSubject, bucket = newBucket()): void {
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
    it("is not there before it is stored", async () => {
      expect(await read(newId())).toBeNull();
    });

    it("is read as it was stored", async () => {
      const id = newId();
      const data = { user: "ada", cart: [{ n: 1 }, null], deep: { a: { b: "ü€😀" } }, no: false, zero: 0 };
      await subject.create(id, data);
      expect(await read(id)).toMatchObject(data);
    });

    it("keeps the changes of a later request, and what it deleted stays deleted", async () => {
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

    it("is replaced when it is stored anew", async () => {
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

  describe.concurrent("time", () => {
    it("ends a session exactly when its life is over", async () => {
      const id = newId();
      await subject.create(id, { n: 1 }, 1500);
      const { expiresAt } = (await subject.sessions.load(id)) ?? { expiresAt: 0 };
      for (let left = expiresAt - Date.now(); left > 0; left = expiresAt - Date.now()) {
        await untilTime(expiresAt - left / 2);
        const data = await read(id);
        if (Date.now() < expiresAt) expect(data).not.toBeNull();
      }
      await untilTime(expiresAt);
      expect(await read(id)).toBeNull();
    });

    it("is given anew by a touch, which changes nothing else", async () => {
      await withinLife(1500, async (life) => {
        const id = newId();
        await subject.create(id, { n: 1 }, life);
        const { expiresAt = 0 } = (await subject.sessions.load(id)) ?? {};
        const held = await subject.hold(id);
        await untilTime(expiresAt - life / 3);
        await held?.touch();
        const after = await subject.sessions.load(id);
        if (Date.now() >= expiresAt) return false;
        expect(after?.expiresAt).toBeGreaterThanOrEqual(expiresAt + 0.6 * life);
        await untilTime(expiresAt);
        const data = await read(id);
        if (Date.now() >= (after?.expiresAt ?? 0)) return false;
        expect(data).toMatchObject({ n: 1 });
        return true;
      });
    });

    it("that is over is not given back by a save", async () => {
      const id = newId();
      await subject.create(id, { n: 1 }, 1100);
      const { expiresAt } = (await subject.sessions.load(id)) ?? { expiresAt: 0 };
      const held = await subject.hold(id);
      await untilTime(expiresAt);
      if (held) held.data.n = 2;
      await held?.save();
      expect(await read(id)).toBeNull();
    });

    it("of no length ends the session", async () => {
      const id = newId();
      await subject.create(id, { n: 1 });
      const held = await subject.hold(id);
      await held?.save(0);
      expect(await read(id)).toBeNull();
    });

    it("is the store's `ttl` where the cookie has no maxAge", async () => {
      const id = newId();
      const before = Date.now();
      await subject.create(id, { n: 1 });
      const { expiresAt } = (await subject.sessions.load(id)) ?? { expiresAt: 0 };
      expect(expiresAt).toBeGreaterThanOrEqual(before + 86_400_000);
      expect(expiresAt).toBeLessThanOrEqual(Date.now() + 86_400_000);
    });

    it("beyond `maxTtl` is refused and nothing is written", async () => {
      const id = newId();
      const life = 31 * 86_400_000;
      await expect(subject.create(id, { n: 1 }, life)).rejects.toMatchObject({
        code: "ERR_SESSION_TTL_TOO_LONG",
        // express-session reads the life it was given off the clock: some of it may be gone.
        message: expect.stringMatching(/267(8400000|83\d{5}).*2592000000/s),
      });
      expect(await read(id)).toBeNull();
    });
  });

  describe("any string is an id", () => {
    it.each(Object.entries(hostileIds))("%s", async (_name, id) => {
      expect(await read(id)).toBeNull();
      await subject.create(id, { mine: id.length });
      expect(await read(id)).toMatchObject({ mine: id.length });
      await subject.destroy(id);
      expect(await read(id)).toBeNull();
    });

    it("and addresses its own entry alone", async () => {
      const entries = Object.values(hostileIds);
      await Promise.all(entries.map((id, n) => subject.create(id, { n })));
      await subject.destroy("*");
      await subject.destroy(">");
      const left = await Promise.all(entries.map(async (id) => (await read(id))?.n));
      expect(left).toEqual(entries.map((id, n) => (id === "*" || id === ">" ? undefined : n)));
    });
  });

  describe("what cannot be stored", () => {
    it.each([
      [
        "a cycle",
        () =>
          Object.assign(Object.create(null), {
            get self() {
              return this;
            },
          }),
      ],
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

  describe("what is stored by others", () => {
    const put = async (id: string, value: string) => {
      // The headers of a session, so that only the value is wrong.
      const now = Date.now();
      await putEntry(nc, bucket, `s.${subject.sessions.handleOf(id)}`, value, {
        "Session-Format": "1",
        "Session-Created": String(now),
        "Session-Expires": String(now + 60_000),
        "Session-Write": "create",
      });
    };

    it.each(["{", "", '"text"', "null", "\u0000"])(
      "%j is an error, and others are not affected",
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

  it("after close everything is refused with a code", async () => {
    const closed = await open(nc, { bucket });
    await closed.close();
    await closed.close();
    await expect(closed.hold("x")).rejects.toBeInstanceOf(SessionStoreError);
    await expect(closed.create("x", {})).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
    await expect(closed.destroy("x")).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
  });
}
