import type { KeyConflict } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stopApps } from "../../http/support/app.js";
import { expressFramework } from "../../http/support/express.js";
import { koaFramework } from "../../http/support/koa.js";
import { type Connection, connectCurrent } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { browse, change, frameworks, meeting, numbers, seenBy, signOut } from "./browsing.js";

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

/** Settles a counter so that no increment is lost. */
function sum(key: string, { base, ours, theirs }: KeyConflict): unknown {
  if (key !== "count") throw new Error(`Nobody else was to change ${key}`);
  return Number(ours) + Number(theirs) - Number(base);
}

describe.each(frameworks)("a counter of $name that `resolve` adds up", (framework) => {
  test("counts two requests that come to the same number", async () => {
    const { ada } = await browse(framework, nc, { data: { count: 0 }, resolve: sum });
    await ada.visit(async (visit) => {
      change({ count: 1 })(visit);
      await ada.visit(change({ count: 1 }));
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", count: 2 });
  });

  test("ends with the exact sum of many increments at the same moment", async () => {
    const { ada, app } = await browse(framework, nc, { data: { count: 100 }, resolve: sum });
    for (const round of numbers(3)) {
      const allLoaded = meeting(8);
      await Promise.all(
        numbers(8).map((n) =>
          ada.visit(async (visit) => {
            visit.session.count = Number(visit.session.count) + n;
            await allLoaded();
          }),
        ),
      );
      expect(await seenBy(ada)).toEqual({ user: "ada", count: 100 + 36 * round });
    }
    expect(app.failures).toEqual([]);
  });

  test("counts each increment once, however often a request saves", async () => {
    const { ada, app } = await browse(framework, nc, { data: { count: 0 }, resolve: sum });
    const allLoaded = meeting(5);
    await Promise.all(
      numbers(5).map(() =>
        ada.visit(async (visit) => {
          await allLoaded();
          for (const n of numbers(3)) {
            visit.session.count = Number(visit.session.count) + 1;
            await visit.save();
            if (n > 1) await visit.save();
          }
        }),
      ),
    );
    expect(await seenBy(ada)).toEqual({ user: "ada", count: 15 });
    expect(app.failures).toEqual([]);
  });

  test("may be settled by something slow", async () => {
    const { ada } = await browse(framework, nc, {
      data: { count: 1 },
      resolve: async (key, conflict) => {
        // Meanwhile the session changes once more.
        if (conflict.theirs === 11) await ada.visit(change({ count: 12, other: 1 }));
        return sum(key, conflict);
      },
    });
    await ada.visit(async (visit) => {
      change({ count: 101 })(visit);
      await ada.visit(change({ count: 11 }));
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", count: 112, other: 1 });
  });
});

describe.each(frameworks)('$name with `onConflict: "overwrite"`', (framework) => {
  test("loses the update of the fast request, so the tests of merging can fail", async () => {
    const { ada } = await browse(framework, nc, { data: { a: 1, b: 1 }, onConflict: "overwrite" });
    await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await ada.visit(change({ b: 2 }));
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 1 });
  });

  test("leaves one key of ten that are added at the same moment", async () => {
    const { ada } = await browse(framework, nc, { onConflict: "overwrite" });
    const allLoaded = meeting(10);
    await Promise.all(
      numbers(10).map((n) =>
        ada.visit(async (visit) => {
          change({ [`key${n}`]: n })(visit);
          await allLoaded();
        }),
      ),
    );
    expect(Object.keys(await seenBy(ada))).toEqual(["user", expect.stringMatching(/^key\d+$/)]);
  });

  test("brings back nothing that was signed out", async () => {
    const { ada, gone, handle, isStored } = await browse(framework, nc, { onConflict: "overwrite" });
    const slow = await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(signOut);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
  });
});

describe.each(frameworks)('$name with `onConflict: "error"`', (framework) => {
  test("refuses what the slow request has changed, and keeps what the fast one stored", async () => {
    const { ada, app } = await browse(framework, nc, { data: { a: 1, b: 1 }, onConflict: "error" });
    await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await ada.visit(change({ b: 2 }));
    });
    await until("the error", () => app.failures.length > 0);
    expect(app.failures).toMatchObject([{ code: "ERR_SESSION_CONFLICT" }]);
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 1, b: 2 });
  });

  test("accepts what one request changes after another", async () => {
    const { ada, app } = await browse(framework, nc, { onConflict: "error" });
    for (const n of numbers(5)) await ada.visit(change({ [`key${n}`]: n }));
    expect(await seenBy(ada)).toMatchObject({ user: "ada", key1: 1, key5: 5 });
    expect(app.failures).toEqual([]);
  });

  test("takes another request that only renewed the session for no conflict", async () => {
    const settings = { rolling: true, maxAge: 3_600_000 };
    const { ada, app } = await browse(framework, nc, { settings, onConflict: "error" });
    const slow = await ada.visit(async (visit) => {
      await ada.visit();
      change({ a: 1 })(visit);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 1 });
    expect(app.failures).toEqual([]);
  });

  test("takes a session that was signed out for gone, not for a conflict", async () => {
    const { ada, app, gone, handle, isStored } = await browse(framework, nc, { onConflict: "error" });
    const slow = await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(signOut);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
    expect(app.failures).toEqual([]);
  });
});

describe("a conflict reaches the application while it can still choose its answer", () => {
  test("in Express, where it saves before it answers: say 409", async () => {
    const { ada, app } = await browse(expressFramework, nc, { data: { a: 1 }, onConflict: "error" });
    const slow = await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await ada.visit(change({ a: 3 }));
      try {
        await visit.save();
      } catch (error) {
        visit.req.res?.status(409);
        return (error as { code: string }).code;
      }
    });
    expect(slow).toMatchObject({ status: 409, result: "ERR_SESSION_CONFLICT" });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 3 });
    expect(app.failures).toEqual([]);
  });

  test("in Koa, in a middleware around that of the sessions", async () => {
    const { ada, app } = await browse(koaFramework, nc, { data: { a: 1 }, onConflict: "error" });
    // At just that place the application of these tests answers any error with its code.
    const slow = await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await ada.visit(change({ a: 3 }));
    });
    expect(slow).toMatchObject({ code: "ERR_SESSION_CONFLICT", setCookie: [] });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 3 });
    expect(app.failures).toHaveLength(1);
  });

  test("in Koa, where it commits by hand: say 409", async () => {
    const { ada, app, store } = await browse(koaFramework, nc, { data: { a: 1 }, onConflict: "error" });
    const byHand = await koaFramework.start(store, { autoCommit: false });
    const slow = await ada.copy(byHand).visit(async (visit) => {
      change({ a: 2 })(visit);
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
});
