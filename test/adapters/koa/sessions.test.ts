import type { NatsStore } from "koa-session-nats";
import { describe, expect, test } from "vitest";
import { stopClock } from "../../support/clock.js";
import { until } from "../../support/wait.js";
import { type KoaVisit, koaFramework } from "../support/koa.js";
import { change, type Data, seenBy, useApps } from "../support/signed-in.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const apps = useApps();
const signedIn = (options: Parameters<typeof apps.signedIn<KoaVisit, NatsStore, object>>[1] = {}) =>
  apps.signedIn(koaFramework, options);

describe("a session of koa-session", () => {
  test.each([
    ["for a day by default, which may be all that `maxTtl` allows", { maxTtl: DAY }, {}, DAY],
    ["for its maxAge, without the ten seconds that koa-session adds for stores", {}, { maxAge: HOUR }, HOUR],
  ])("lives %s", async (_title, options, settings, ttl) => {
    stopClock();
    const { app, expiry } = await signedIn({ ...options, settings });
    expect(await expiry()).toBe(Date.now() + ttl);
    expect(app.failures).toEqual([]);
  });

  test("that cannot be stored makes its error the answer", async () => {
    const store = await apps.open(koaFramework, { maxTtl: DAY - 1, onTtlTooLong: "error" });
    const ada = (await koaFramework.start(store)).visitor();
    expect(await ada.visit(change({ user: "ada" }))).toMatchObject({
      status: 500,
      code: "ERR_SESSION_TTL_TOO_LONG",
      setCookie: [],
    });
    expect(await store.sessions.count()).toBe(0);
  });

  test("keeps a maxAge of its own, whatever the application's is", async () => {
    stopClock();
    const { ada, expiry } = await signedIn({ settings: { maxAge: HOUR } });
    await ada.visit((visit) => visit.setMaxAge(60_000));
    expect(await expiry()).toBe(Date.now() + 60_000);
    expect((await ada.visit(({ ctx }) => ctx.session?.maxAge)).result).toBe(60_000);
  });

  test("keeps its data and loses its old id when it is regenerated", async () => {
    const { ada, id, isStored } = await signedIn();
    await ada.visit((visit) => visit.regenerate());
    expect(koaFramework.idOf(ada)).not.toBe(id);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
    expect(await isStored()).toBe(false);
  });

  test("keeps its id when a new object takes its place, which removes only what was loaded", async () => {
    const { ada, id } = await signedIn({ data: { a: 1, b: 1 } });
    await ada.visit(async ({ ctx }) => {
      await ada.visit(change({ added: 1 }));
      ctx.session = { user: "grace", a: 2 };
    });
    expect(koaFramework.idOf(ada)).toBe(id);
    expect(await seenBy(ada)).toEqual({ user: "grace", a: 2, added: 1 });
  });

  test("is found by a key that the application keeps elsewhere than in a cookie", async () => {
    let kept = "";
    const externalKey = {
      get: () => kept,
      set: (_ctx: unknown, key: string) => {
        kept = key;
      },
    };
    const app = await koaFramework.start(await apps.open(koaFramework), { externalKey });
    const signIn = change({ user: "ada" });
    expect(await app.visitor().visit(signIn)).toMatchObject({ status: 200, setCookie: [] });
    expect(await seenBy(app.visitor())).toEqual({ user: "ada" });
    kept = "";
    expect(await seenBy(app.visitor())).toEqual({});
  });

  test("is stored as it is committed by hand with `autoCommit: false`, where a conflict can be answered", async () => {
    const { ada, app, store } = await signedIn({ data: { a: 1 }, onConflict: "error" });
    const byHand = await koaFramework.start(store, { autoCommit: false });
    await ada.copy(byHand).visit(change({ forgotten: 1 }));
    const slow = await ada.copy(byHand).visit(async (visit) => {
      change({ a: 2 })(visit);
      await visit.ctx.session?.manuallyCommit();
      change({ a: 4 })(visit);
      await ada.visit(change({ a: 3 }));
      try {
        await visit.ctx.session?.manuallyCommit();
      } catch (error) {
        visit.ctx.status = 409;
        return (error as { code: string }).code;
      }
    });
    expect(slow).toMatchObject({ status: 409, result: "ERR_SESSION_CONFLICT" });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 3 });
    expect([...app.failures, ...byHand.failures]).toEqual([]);
  });

  test.each([
    ["a cycle", (bad: Data) => Object.assign(bad, { bad })],
    ["a BigInt", (bad: Data) => Object.assign(bad, { n: 1n })],
  ])("that holds %s is an error of the save, and the stored session stays", async (_name, spoil) => {
    const { ada } = await signedIn();
    const answer = await ada.visit(async (visit) => {
      visit.session.bad = spoil({});
      const refusal = await visit.save().catch((error) => error.code);
      delete visit.session.bad;
      return refusal;
    });
    expect(answer).toMatchObject({ status: 200, result: "ERR_SESSION_SERIALIZE" });
    expect(await seenBy(ada)).toEqual({ user: "ada" });
  });

  test("shows the application its own data and nothing of the store", async () => {
    const { ada } = await signedIn();
    expect((await ada.visit(({ ctx }) => JSON.stringify(ctx.session))).result).toBe('{"user":"ada"}');
  });

  test("that does not exist is told by koa-session's own event", async () => {
    const app = await koaFramework.start(await apps.open(koaFramework));
    const missed: unknown[] = [];
    const ada = app.visitor().with(koaFramework.cookiesOf("no-such-session"));
    await ada.visit(({ ctx }) => {
      ctx.app.on("session:missed", ({ key }) => missed.push(key));
    });
    await until("the event", () => missed.length > 0);
    expect(missed).toEqual(["no-such-session"]);
  });
});

describe("a visit that changes nothing", () => {
  test.each([
    ["touches the session with `rolling`", { rolling: true }, 0, "touch"],
    ["writes nothing before `touchAfter` with `rolling`", { rolling: true }, undefined, "create"],
    ["writes nothing without `rolling` and `renew`", {}, 0, "create"],
  ])("%s", async (_title, settings, touchAfter, write) => {
    const clock = stopClock();
    const { ada, entry } = await signedIn({ touchAfter, settings: { maxAge: HOUR, ...settings } });
    const created = await entry();
    clock.advance(1000);
    await ada.visit();
    expect(await entry()).toMatchObject({ write, text: created.text });
    await ada.visit(change({ views: 1 }));
    expect(await entry()).toMatchObject({ write: "update" });
  });

  test("renews the session with `renew` in the second half of its maxAge, and not before", async () => {
    const clock = stopClock();
    const { ada, entry, expiry } = await signedIn({ settings: { renew: true, maxAge: HOUR } });
    const created = await entry();
    clock.advance(HOUR / 2 - 1);
    await ada.visit();
    expect((await entry()).revision).toBe(created.revision);
    clock.advance(2);
    expect((await ada.visit()).setCookie.join()).toContain("koa.sess=");
    expect(await expiry()).toBe(Date.now() + HOUR);
    expect(await entry()).toMatchObject({ write: "touch" });
  });
});

describe('a session with `maxAge: "session"` lives for the store\'s `ttl` and ends with the browser', () => {
  type Step = (visit: KoaVisit, other: (step: (visit: KoaVisit) => unknown) => Promise<unknown>) => unknown;

  const cases: { name: string; step: Step; stored: Data; ttl?: number }[] = [
    { name: "after a save", step: change({ a: 1 }), stored: { a: 1 } },
    {
      name: "after two saves in one request",
      step: async (visit) => {
        change({ a: 1 })(visit);
        await visit.save();
        change({ a: 2 })(visit);
      },
      stored: { a: 2 },
    },
    {
      name: "after a save and a new id in one request",
      step: async (visit) => {
        await visit.save();
        await visit.regenerate();
      },
      stored: {},
    },
    {
      name: "after a merge",
      step: async (visit, other) => {
        change({ a: 1 })(visit);
        await other(change({ b: 1 }));
      },
      stored: { a: 1, b: 1 },
    },
    {
      name: "after a merge and a second save in its request",
      step: async (visit, other) => {
        await other(change({ b: 1 }));
        change({ a: 1 })(visit);
        await visit.save();
        change({ a: 2 })(visit);
      },
      stored: { a: 2, b: 1 },
    },
    {
      name: "after a merge in the second of two saves",
      step: async (visit, other) => {
        change({ a: 1 })(visit);
        await visit.save();
        await other(change({ b: 1 }));
        change({ a: 2 })(visit);
      },
      stored: { a: 2, b: 1 },
    },
    {
      name: "after saves at the same time",
      step: async (visit, other) => {
        await other(change({ b: 1 }));
        const saves = [1, 2, 3].map((a) => {
          change({ a })(visit);
          return visit.save();
        });
        await Promise.all(saves);
      },
      stored: { a: 3, b: 1 },
    },
    {
      name: "unless its request sets a maxAge",
      step: async (visit) => {
        await visit.save();
        visit.setMaxAge(60_000);
      },
      stored: {},
      ttl: 60_000,
    },
    {
      name: "unless another request sets a maxAge, however often the slow one saves",
      step: async (visit, other) => {
        change({ a: 1 })(visit);
        await other(({ setMaxAge }) => setMaxAge(60_000));
        await visit.save();
        change({ a: 2 })(visit);
      },
      stored: { a: 2 },
      ttl: 60_000,
    },
  ];

  test.each(cases)("$name", async ({ step, stored, ttl }) => {
    stopClock();
    const { ada, app, store } = await signedIn({ ttl: HOUR, settings: { maxAge: "session" } });
    const answer = await ada.visit(async (visit) => {
      await step(visit, (within) => ada.visit(within));
    });
    expect(app.failures).toEqual([]);
    const record = await store.sessions.load(koaFramework.idOf(ada) as string);
    const kind = ttl === undefined ? { _session: true } : { _maxAge: ttl };
    expect(record?.data).toEqual({ user: "ada", ...stored, ...kind });
    expect(record?.expiresAt).toBe(Date.now() + (ttl ?? HOUR));
    if (ttl === undefined) for (const line of answer.setCookie) expect(line).not.toMatch(/expires|max-age/i);
  });

  test("also where another request turns a session of a day into one", async () => {
    stopClock();
    const { ada, store, id } = await signedIn({ ttl: HOUR, settings: { maxAge: DAY } });
    await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(({ ctx }) => {
        Object.assign(ctx.session as object, { maxAge: "session" });
      });
      await visit.save();
      change({ a: 2 })(visit);
    });
    const record = await store.sessions.load(id);
    expect(record?.data).toEqual({ user: "ada", a: 2, _session: true });
    expect(record?.expiresAt).toBe(Date.now() + HOUR);
  });
});
