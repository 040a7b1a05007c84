import type { Resolve } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Held, type OpenSubject, type Subject, subjects } from "../conformance/subjects.js";
import { type Connection, newBucket, type Variant, variants } from "../support/variants.js";

for (const variant of variants()) {
  for (const [name, open] of Object.entries(subjects)) {
    describe(`overlapping requests in ${name} over ${variant.name}`, () => overlap(variant, open));
  }
}

function overlap(variant: Variant, open: OpenSubject): void {
  const bucket = newBucket();
  let nc: Connection;
  let other: Connection;
  /** Two processes of one application. */
  let subject: Subject;
  let elsewhere: Subject;
  let ids = 0;

  beforeAll(async () => {
    [nc, other] = await Promise.all([variant.connect(), variant.connect()]);
    subject = await open(nc, { bucket, touchAfter: 0 });
    elsewhere = await open(other, { bucket, touchAfter: 0 });
  });
  afterAll(async () => {
    await Promise.all([subject.close(), elsewhere.close()]);
    await Promise.all([nc.close(), other.close()]);
  });

  const begin = async (data: Record<string, unknown>) => {
    const id = `session-${ids++}`;
    await subject.create(id, data, 60_000);
    return id;
  };
  const hold = async (id: string, from = subject): Promise<Held> => {
    const held = await from.hold(id);
    if (!held) throw new Error("The session is not there");
    return held;
  };
  const read = async (id: string) => (await subject.hold(id))?.data ?? null;

  it("keep each other's changes, additions and removals", async () => {
    const id = await begin({ a: 1, b: 1, removed: 1 });
    const [one, two] = [await hold(id), await hold(id, elsewhere)];
    one.data.a = 2;
    delete one.data.removed;
    two.data.b = 2;
    two.data.added = 1;
    await one.save();
    await two.save();
    const data = await read(id);
    expect(data).toMatchObject({ a: 2, b: 2, added: 1 });
    expect(data).not.toHaveProperty("removed");
  });

  it("let the one that saves last win a key that both changed", async () => {
    const id = await begin({ a: 1 });
    const [one, two] = [await hold(id), await hold(id, elsewhere)];
    one.data.a = "one";
    two.data.a = "two";
    await two.save();
    await one.save();
    expect(await read(id)).toMatchObject({ a: "one" });
  });

  it("go on after a merge: later saves neither drop nor bring back the other side's keys", async () => {
    const id = await begin({ a: 1, shared: 1 });
    const [one, two] = [await hold(id), await hold(id, elsewhere)];
    two.data.theirs = 1;
    two.data.shared = 2;
    await two.save();
    one.data.a = 2;
    await one.save();
    one.data.a = 3;
    await one.save();
    expect(await read(id)).toMatchObject({ a: 3, theirs: 1, shared: 2 });

    const three = await hold(id, elsewhere);
    delete three.data.theirs;
    await three.save();
    one.data.a = 4;
    await one.save();
    delete one.data.a;
    await one.save();
    await one.touch();
    const data = await read(id);
    expect(data).not.toHaveProperty("theirs");
    expect(data).not.toHaveProperty("a");
    expect(data).toMatchObject({ shared: 2 });
  });

  it("that only touch write nothing old over something new", async () => {
    const id = await begin({ a: 1 });
    const [reader, writer] = [await hold(id), await hold(id, elsewhere)];
    writer.data.a = 2;
    await writer.save();
    await reader.touch();
    expect(await read(id)).toMatchObject({ a: 2 });
  });

  it("do not conflict with themselves: saves of one session object take turns", async () => {
    const strict = await open(nc, { bucket, onConflict: "error" });
    const id = await begin({ n: 0 });
    const held = await hold(id, strict);
    if (strict.events) {
      await Promise.all(
        Array.from({ length: 10 }, (_, n) => {
          held.data.n = n + 1;
          return held.save();
        }),
      );
    } else {
      for (held.data.n = 1; (held.data.n as number) < 10; held.data.n = (held.data.n as number) + 1)
        await held.save();
      await held.save();
    }
    expect(await read(id)).toMatchObject({ n: 10 });
    await strict.close();
  });

  it.each(["save", "touch"] as const)("cannot bring back by a %s what was ended elsewhere", async (write) => {
    const id = await begin({ a: 1 });
    const held = await hold(id);
    const gone = vi.fn();
    subject.events?.on("gone", gone);
    await elsewhere.destroy(id);
    if (write === "save") held.data.a = 2;
    await held[write]();
    held.data.a = 3;
    await held.save();
    expect(await read(id)).toBeNull();
    if (subject.events) {
      expect(gone).toHaveBeenCalledTimes(2);
      expect(gone.mock.calls[1]).toEqual([{ handle: subject.sessions.handleOf(id), operation: "save" }]);
    }
    subject.events?.off("gone", gone);
  });

  it("leave a new session under a new id alone", async () => {
    const id = await begin({ a: 1 });
    const held = await hold(id);
    await elsewhere.destroy(id);
    const next = await begin({ a: "new" });
    await held.save();
    expect(await read(next)).toMatchObject({ a: "new" });
  });

  describe("may be settled otherwise", () => {
    const conflict = async (options: Parameters<OpenSubject>[1]) => {
      const settled = await open(nc, { bucket, ...options });
      const id = await begin({ n: 1, other: 1 });
      const [one, two] = [await hold(id, settled), await hold(id, elsewhere)];
      two.data.n = 10;
      two.data.other = 2;
      await two.save();
      one.data.n = 5;
      const outcome = await one.save().catch((error: unknown) => error);
      await settled.close();
      return { outcome, data: await read(id) };
    };

    it("by `resolve`, with the three values", async () => {
      const resolve = vi.fn<Resolve>(
        async (_key, { base, ours, theirs }) => Number(ours) + Number(theirs) - Number(base),
      );
      const { data } = await conflict({ resolve });
      expect(data).toMatchObject({ n: 14, other: 2 });
      expect(resolve).toHaveBeenCalledExactlyOnceWith("n", { base: 1, ours: 5, theirs: 10 });
    });

    it("by an error of `resolve`, which the save rejects with", async () => {
      const error = new Error("cannot decide");
      const resolve = () => {
        throw error;
      };
      expect(await conflict({ resolve })).toMatchObject({ outcome: error, data: { n: 10, other: 2 } });
    });

    it('by overwriting: `onConflict: "overwrite"` loses the update', async () => {
      expect((await conflict({ onConflict: "overwrite" })).data).toMatchObject({ n: 5, other: 1 });
    });

    it('by refusing: `onConflict: "error"`', async () => {
      const { outcome, data } = await conflict({ onConflict: "error" });
      expect(outcome).toMatchObject({ code: "ERR_SESSION_CONFLICT" });
      expect(data).toMatchObject({ n: 10, other: 2 });
    });
  });
}
