import type { Request } from "express";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stopApps } from "../../http/support/app.js";
import { expressFramework } from "../../http/support/express.js";
import { type Connection, connectCurrent } from "../../support/variants.js";
import { browse, change, numbers, seenBy, signOut } from "./browsing.js";

const HOUR = 3_600_000;

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

type Options = Parameters<typeof browse<never, never, object>>[2];
const open = (options?: Options) => browse(expressFramework, nc, options as never);

/** What `req.session.reload()` answers. */
const reload = (req: Request) => new Promise<unknown>((resolve) => req.session.reload(resolve));

/** Saves and waits for nothing; the promise tells what became of it. */
const saveUnawaited = (req: Request) => new Promise<unknown>((resolve) => req.session.save(resolve));

describe("reload() in the middle of a request", () => {
  test("shows what came out of a merge, and the request goes on from there", async () => {
    const { ada, app } = await open({ data: { a: 1, b: 1, c: 1 } });
    const slow = await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await ada.visit(change({ b: 2, d: 1 }));
      await visit.save();
      const before = { ...visit.session };
      expect(await reload(visit.req)).toBeUndefined();
      const after = { ...visit.session };

      // Now it has seen the other one's keys: what it removes of them is to be removed.
      change({ c: 3, d: undefined })(visit);
      await visit.save();
      await ada.visit(change({ e: 1 }));
      change({ a: 4 })(visit);
      return { before, after };
    });
    expect(slow).toMatchObject({
      status: 200,
      result: { before: { a: 2, b: 1, c: 1 }, after: { a: 2, b: 2, c: 1, d: 1 } },
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 4, b: 2, c: 3, e: 1 });
    expect(app.failures).toEqual([]);
  });

  test("is where the next save counts from, so that it is no conflict", async () => {
    const { ada, app } = await open({ data: { a: 1 }, onConflict: "error" });
    await ada.visit(async (visit) => {
      await ada.visit(change({ a: 2 }));
      await reload(visit.req);
      visit.session.a = Number(visit.session.a) + 1;
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 3 });
    expect(app.failures).toEqual([]);
  });

  test("with saves of the session from before it still under way loses nothing", async () => {
    const { ada, app } = await open({ data: { a: 1, b: 1 } });
    await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      const saved = saveUnawaited(visit.req);
      await reload(visit.req);
      change({ b: 2 })(visit);
      expect(await saved).toBeNull();
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
    expect(app.failures).toEqual([]);
  });
});

describe("several saves in one request do not conflict with themselves", () => {
  test("one after the other", async () => {
    const { ada, app } = await open({ onConflict: "error" });
    await ada.visit(async (visit) => {
      for (const n of numbers(5)) {
        change({ [`key${n}`]: n, last: n })(visit);
        await visit.save();
      }
    });
    expect(await seenBy(ada)).toMatchObject({ key1: 1, key5: 5, last: 5 });
    expect(app.failures).toEqual([]);
  });

  test("at the same time", async () => {
    const { ada, app } = await open({ onConflict: "error" });
    await ada.visit(async (visit) => {
      const saves = numbers(10).map((n) => {
        change({ [`key${n}`]: n, last: n })(visit);
        return visit.save();
      });
      await Promise.all(saves);
    });
    expect(await seenBy(ada)).toMatchObject({ key1: 1, key10: 10, last: 10 });
    expect(app.failures).toEqual([]);
  });

  test("with nobody waiting for them, and a last one at the end of the request", async () => {
    const { ada, app } = await open({ onConflict: "error" });
    const saves: Promise<unknown>[] = [];
    const slow = await ada.visit((visit) => {
      for (const n of numbers(5)) {
        change({ last: n })(visit);
        saves.push(saveUnawaited(visit.req));
      }
      change({ last: "at the end" })(visit);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(await Promise.all(saves)).toEqual(Array(5).fill(null));
    expect(await seenBy(ada)).toEqual({ user: "ada", last: "at the end" });
    expect(app.failures).toEqual([]);
  });

  test("with nobody waiting for them, and the renewal at the end of the request", async () => {
    const settings = { rolling: true, maxAge: HOUR };
    const { ada, app, store, id } = await open({ settings, onConflict: "error" });
    const saves: Promise<unknown>[] = [];
    const sent = Date.now();
    await ada.visit((visit) => {
      change({ a: 1 })(visit);
      saves.push(saveUnawaited(visit.req), saveUnawaited(visit.req));
    });
    expect(await Promise.all(saves)).toEqual([null, null]);
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 1 });
    expect((await store.sessions.load(id))?.expiresAt).toBeGreaterThanOrEqual(sent + HOUR);
    expect(app.failures).toEqual([]);
  });

  test("in the request that begins the session", async () => {
    const { app, store } = await open({ onConflict: "error" });
    const grace = app.visitor();
    const before = await store.length();
    await grace.visit(async (visit) => {
      change({ user: "grace" })(visit);
      const saves = numbers(5).map((n) => {
        change({ [`key${n}`]: n })(visit);
        return visit.save();
      });
      await Promise.all(saves);
      change({ last: true })(visit);
    });
    expect(await seenBy(grace)).toMatchObject({ user: "grace", key1: 1, key5: 5, last: true });
    expect(await store.length()).toBe(before + 1);
    expect(app.failures).toEqual([]);
  });

  test("and all of them keep what another request has changed", async () => {
    const { ada, app } = await open({ data: { b: 1 } });
    await ada.visit(async (visit) => {
      await ada.visit(change({ b: 2, theirs: 1 }));
      const saves = numbers(5).map((n) => {
        change({ a: n })(visit);
        return visit.save();
      });
      await Promise.all(saves);
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 5, b: 2, theirs: 1 });
    expect(app.failures).toEqual([]);
  });
});

describe("`resave: true`, where a request that only reads saves as well,", () => {
  const settings = { resave: true };

  test("does not take back what another request has changed", async () => {
    const { ada, app } = await open({ data: { a: 1, removed: 1 }, settings });
    const slow = await ada.visit(async (visit) => {
      await ada.visit(change({ a: 2, added: 1, removed: undefined }));
      return visit.session.a;
    });
    expect(slow).toMatchObject({ status: 200, result: 1 });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, added: 1 });
    expect(app.failures).toEqual([]);
  });

  test("does not bring back what was signed out", async () => {
    const { ada, app, gone, handle, isStored } = await open({ settings });
    const slow = await ada.visit(async () => {
      await ada.visit(signOut);
      return "an answer";
    });
    expect(slow).toMatchObject({ status: 200, result: "an answer" });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
    expect(app.failures).toEqual([]);
  });
});

describe("other ways to end a request or a session", () => {
  test('`unset: "destroy"`: a request that drops the session ends it for the slow one', async () => {
    const { ada, gone, handle, isStored } = await open({ settings: { unset: "destroy" } });
    const slow = await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(({ req }) => void Object.assign(req, { session: null }));
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
  });

  test("a slow answer that is sent piece by piece is complete, and the changes of both are kept", async () => {
    const { ada, app } = await open({ data: { a: 1, b: 1 } });
    const path = app.pathOf(async (visit) => {
      visit.req.res?.write('{"pieces": [1, ');
      change({ a: 2 })(visit);
      await ada.visit(change({ b: 2 }));
      visit.req.res?.end("2]}");
      // The answer is out: what the test's application would add to it is not wanted.
      return new Promise(() => {});
    });
    const slow = await fetch(app.url + path, { headers: { cookie: ada.cookie } });
    expect(await slow.json()).toEqual({ pieces: [1, 2] });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
    expect(app.failures).toEqual([]);
  });
});
