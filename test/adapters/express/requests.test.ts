import type { Request } from "express";
import { describe, expect, test } from "vitest";
import { expressFramework } from "../support/express.js";
import { change, seenBy, signOut, useApps } from "../support/signed-in.js";

const HOUR = 3_600_000;

const apps = useApps();
const signedIn = (options: Parameters<typeof apps.signedIn<never, never, object>>[1] = {}) =>
  apps.signedIn(expressFramework, options as never);

/** What `req.session.reload()` answers. */
const reload = (req: Request) => new Promise<unknown>((resolve) => req.session.reload(resolve));

/** Saves without waiting; the promise gives the callback's error. */
const saveUnawaited = (req: Request) => new Promise<unknown>((resolve) => req.session.save(resolve));

describe("reload()", () => {
  test("shows the result of a merge, and the request continues from there", async () => {
    const { ada, app } = await signedIn({ data: { a: 1, b: 1, c: 1 } });
    const slow = await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await ada.visit(change({ b: 2, d: 1 }));
      await visit.save();
      const before = { ...visit.session };
      expect(await reload(visit.req)).toBeUndefined();
      const after = { ...visit.session };
      // Now it has seen the other request's keys: removing one of them is meant.
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

  test("drops the changes of its request and is no conflict for the next save", async () => {
    const { ada, app } = await signedIn({ data: { a: 1 }, onConflict: "error" });
    await ada.visit(async (visit) => {
      change({ mistake: true })(visit);
      await ada.visit(change({ a: 2 }));
      await reload(visit.req);
      visit.session.a = Number(visit.session.a) + 1;
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 3 });
    expect(app.failures).toEqual([]);
  });

  test("loses nothing of saves that are still under way", async () => {
    const { ada, app } = await signedIn({ data: { a: 1, b: 1 } });
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

  test("of a session that was destroyed by another request is an error", async () => {
    const { ada } = await signedIn();
    const answer = await ada.visit(async ({ req }) => {
      await ada.copy().visit(signOut);
      return ((await reload(req)) as Error).message;
    });
    expect(answer.result).toBe("failed to load session");
  });
});

describe("saves that the application does not await", () => {
  test("do not conflict with the save at the end of the request", async () => {
    const { ada, app } = await signedIn({ onConflict: "error" });
    const saves: Promise<unknown>[] = [];
    await ada.visit((visit) => {
      for (const last of [1, 2, 3]) {
        change({ last })(visit);
        saves.push(saveUnawaited(visit.req));
      }
      change({ last: "at the end" })(visit);
    });
    expect(await Promise.all(saves)).toEqual([null, null, null]);
    expect(await seenBy(ada)).toEqual({ user: "ada", last: "at the end" });
    expect(app.failures).toEqual([]);
  });

  test("do not conflict with the renewal at the end of the request", async () => {
    const settings = { rolling: true, maxAge: HOUR };
    const { ada, app, expiry } = await signedIn({ settings, onConflict: "error" });
    const saves: Promise<unknown>[] = [];
    const sent = Date.now();
    await ada.visit((visit) => {
      change({ a: 1 })(visit);
      saves.push(saveUnawaited(visit.req), saveUnawaited(visit.req));
    });
    expect(await Promise.all(saves)).toEqual([null, null]);
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 1 });
    expect(await expiry()).toBeGreaterThanOrEqual(sent + HOUR);
    expect(app.failures).toEqual([]);
  });
});

describe("with `resave: true`, where a request that only reads saves too,", () => {
  const settings = { resave: true };

  test("a slow request does not undo what another one has changed", async () => {
    const { ada, app } = await signedIn({ data: { a: 1, removed: 1 }, settings });
    const slow = await ada.visit(async (visit) => {
      await ada.visit(change({ a: 2, added: 1, removed: undefined }));
      return visit.session.a;
    });
    expect(slow).toMatchObject({ status: 200, result: 1 });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, added: 1 });
    expect(app.failures).toEqual([]);
  });

  test("a slow request does not bring back a session that was signed out", async () => {
    const { ada, app, gone, handle, isStored } = await signedIn({ settings });
    expect(await ada.visit(() => ada.visit(signOut))).toMatchObject({ status: 200 });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
    expect(app.failures).toEqual([]);
  });
});

describe("`unset`", () => {
  const drop = ({ req }: { req: Request }) => void Object.assign(req, { session: null });

  test('"destroy" ends the session of a request that drops it, also for a slow request', async () => {
    const { ada, gone, handle, isStored } = await signedIn({ settings: { unset: "destroy" } });
    const slow = await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(drop);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
  });

  test('"keep", the default, leaves the session as it was', async () => {
    const { ada } = await signedIn();
    await ada.visit(drop);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
  });
});

test("a conflict of an explicit save can be answered by the application", async () => {
  const { ada, app } = await signedIn({ data: { a: 1 }, onConflict: "error" });
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

test("a slow answer that is sent in pieces is complete, and the changes of both requests are kept", async () => {
  const { ada, app } = await signedIn({ data: { a: 1, b: 1 } });
  const path = app.pathOf(async (visit) => {
    visit.req.res?.write('{"pieces": [1, ');
    change({ a: 2 })(visit);
    await ada.visit(change({ b: 2 }));
    visit.req.res?.end("2]}");
    // The answer is sent: the test's application must not add to it.
    return new Promise(() => {});
  });
  const slow = await fetch(app.url + path, { headers: { cookie: ada.cookie } });
  expect(await slow.json()).toEqual({ pieces: [1, 2] });
  expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
  expect(app.failures).toEqual([]);
});
