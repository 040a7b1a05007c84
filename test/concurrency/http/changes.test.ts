import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stopApps } from "../../http/support/app.js";
import { type Connection, connectCurrent } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { browse, change, frameworks, meeting, numbers, seenBy } from "./browsing.js";

const HOUR = 3_600_000;

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

describe.each(frameworks)("overlapping requests of one browser to $name", (framework) => {
  test("a slow one and a fast one both keep what they changed", async () => {
    const { ada, app } = await browse(framework, nc, { data: { a: 1, b: 1 } });
    const slow = await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      expect(await ada.visit(change({ b: 2 }))).toMatchObject({ status: 200 });
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
    expect(app.failures).toEqual([]);
  });

  test("it does not matter whether the slow one changes before or after the fast one", async () => {
    const { ada } = await browse(framework, nc, { data: { a: 1, b: 1 } });
    await ada.visit(async (visit) => {
      await ada.visit(change({ b: 2 }));
      change({ a: 2 })(visit);
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
  });

  test("what one of them removes is not brought back by the other, and what it adds is not lost", async () => {
    const { ada } = await browse(framework, nc, { data: { mine: 1, yours: 1, kept: 1 } });
    await ada.visit(async (visit) => {
      change({ mine: undefined, added: "slow" })(visit);
      await ada.visit(change({ yours: undefined, alsoAdded: "fast" }));
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", kept: 1, added: "slow", alsoAdded: "fast" });
  });

  test("a key that both change is what the last to finish made of it, as a whole", async () => {
    const { ada } = await browse(framework, nc, {
      data: { cart: { apples: 1 }, slowRemoves: 1, fastRemoves: 1 },
    });
    await ada.visit(async (visit) => {
      change({ cart: { apples: 1, pears: 1 }, slowRemoves: undefined, fastRemoves: 2 })(visit);
      await ada.visit(change({ cart: { apples: 5 }, slowRemoves: 2, fastRemoves: undefined }));
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", cart: { apples: 1, pears: 1 }, fastRemoves: 2 });
  });

  test("three of them, each within the other", async () => {
    const { ada } = await browse(framework, nc, { data: { a: 1, b: 1, c: 1, d: 1 } });
    await ada.visit(async (slowest) => {
      change({ a: 2 })(slowest);
      await ada.visit(async (slow) => {
        change({ b: undefined })(slow);
        await ada.visit(change({ c: 3, e: 3 }));
      });
      await ada.visit(change({ d: 4 }));
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, c: 3, d: 4, e: 3 });
  });

  test("ten at the same moment that add a key each: all ten are there", async () => {
    const { ada, app } = await browse(framework, nc);
    const allLoaded = meeting(10);
    const answers = await Promise.all(
      numbers(10).map((n) =>
        ada.visit(async (visit) => {
          change({ [`key${n}`]: n })(visit);
          await allLoaded();
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    const added = Object.fromEntries(numbers(10).map((n) => [`key${n}`, n]));
    expect(await seenBy(ada)).toEqual({ user: "ada", ...added });
    expect(app.failures).toEqual([]);
  });

  test("one that saves in the middle goes on, and undoes nothing of what the others do", async () => {
    const { ada } = await browse(framework, nc, { data: { a: 1, b: 1, shared: 1 } });
    await ada.visit(async (visit) => {
      change({ a: 2, mistake: true })(visit);
      await ada.visit(change({ b: 2, theirs: 1, shared: 2 }));
      await visit.save();
      // It has never seen what the other one added; the next save is no order to remove it.
      change({ a: 3, mistake: undefined })(visit);
      await ada.visit(change({ theirs: undefined, more: 1 }));
      await visit.save();
      change({ a: 4 })(visit);
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 4, b: 2, shared: 2, more: 1 });
  });

  test("one that only reads, and renews the session, writes nothing old over something new", async () => {
    const settings = { rolling: true, maxAge: HOUR };
    const { ada, store, id } = await browse(framework, nc, { data: { a: 1 }, settings });
    let renewed = 0;
    await ada.visit(async () => {
      await ada.visit(change({ a: 2 }));
      renewed = (await store.sessions.load(id))?.expiresAt ?? 0;
    });
    expect((await store.sessions.load(id))?.expiresAt).toBeGreaterThanOrEqual(renewed);
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2 });
  });

  test.each([
    { life: 10 * HOUR, saves: "at its end" },
    { life: 60_000, saves: "at its end" },
    { life: 10 * HOUR, saves: "in the middle" },
    { life: 60_000, saves: "in the middle" },
  ])(
    "a life of $life ms that the fast one gives the session outlasts a slow one that saves $saves",
    async ({ life, saves }) => {
      const { ada, store, id } = await browse(framework, nc, { settings: { maxAge: HOUR } });
      const before = Date.now();
      await ada.visit(async (visit) => {
        change({ a: 1 })(visit);
        await ada.visit(({ setMaxAge }) => setMaxAge(life));
        if (saves === "in the middle") await visit.save();
      });
      const expiresAt = (await store.sessions.load(id))?.expiresAt ?? 0;
      expect(await seenBy(ada)).toEqual({ user: "ada", a: 1 });
      expect(expiresAt).toBeGreaterThanOrEqual(before + life);
      expect(expiresAt).toBeLessThanOrEqual(Date.now() + life);
    },
  );

  test("a slow one whose handler throws: the answer is the error, the changes are kept as ever", async () => {
    const { ada, app } = await browse(framework, nc, { data: { a: 1, b: 1 } });
    const mistake = new Error("a mistake of the application");
    const slow = await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await ada.visit(change({ b: 2 }));
      throw mistake;
    });
    expect(slow).toMatchObject({ status: 500 });
    expect(app.failures).toEqual([mistake]);
    // Both frameworks save the session of a request that has failed.
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
  });

  test("a fast one whose handler throws does not harm the slow one", async () => {
    const { ada, app } = await browse(framework, nc, { data: { a: 1, b: 1 } });
    const slow = await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      const fast = await ada.visit((other) => {
        change({ b: 2 })(other);
        throw new Error("a mistake of the application");
      });
      expect(fast).toMatchObject({ status: 500 });
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(app.failures).toHaveLength(1);
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
  });

  test("one whose browser has gone away still saves, and keeps what others changed", async () => {
    const { ada, app, store, id } = await browse(framework, nc, { data: { a: 1, b: 1 } });
    const leaving = new AbortController();
    const path = app.pathOf(async (visit) => {
      change({ a: 2 })(visit);
      leaving.abort();
      await ada.visit(change({ b: 2 }));
    });
    const headers = { cookie: ada.cookie };
    await expect(fetch(app.url + path, { headers, signal: leaving.signal })).rejects.toThrow(/abort/);
    await until("the slow one's save", async () => (await store.sessions.load(id))?.data.a === 2);
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
    expect(app.failures).toEqual([]);
  });
});
