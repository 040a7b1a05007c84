import { describe, expect, test } from "vitest";
import { stopClock } from "../../support/clock.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { type ExpressVisit, expressFramework } from "../support/express.js";
import { connectTo, startServer } from "../support/servers.js";
import { change, seenBy, useApps } from "../support/signed-in.js";
import type { Visitor } from "../support/visitor.js";

const HOUR = 3_600_000;

const apps = useApps();

describe("a session of express-session", () => {
  test("is stored new with `saveUninitialized`, and unchanged with `resave`", async () => {
    const { ada, entry } = await apps.signedIn(expressFramework, {
      settings: { saveUninitialized: true, resave: true },
      data: { user: undefined },
    });
    const first = await entry();
    await ada.visit();
    const second = await entry();
    expect(second.text).toBe(first.text);
    expect(second.revision).toBeGreaterThan(first.revision);
  });

  test("lives for the store's `ttl` while its cookie has no maxAge", async () => {
    stopClock();
    const plain = await apps.signedIn(expressFramework, { ttl: HOUR });
    expect(await plain.expiry()).toBe(Date.now() + HOUR);

    const { ada, expiry } = await apps.signedIn(expressFramework, {
      ttl: HOUR,
      settings: { maxAge: 60_000 },
    });
    expect(await expiry()).toBe(Date.now() + 60_000);
    await ada.visit(({ req }) => {
      req.session.cookie.expires = null;
    });
    expect(await expiry()).toBe(Date.now() + HOUR);
    const cookie = await ada.visit(({ req }) => req.session.cookie);
    expect(cookie.result).toMatchObject({ originalMaxAge: null, expires: null });
  });

  test("has a cookie that tells when the session ends", async () => {
    // express-session computes originalMaxAge from two readings of the clock.
    stopClock();
    const { ada, expiry } = await apps.signedIn(expressFramework, { settings: { maxAge: HOUR } });
    await ada.visit();
    const end = await expiry();
    const answer = await ada.visit(({ req }) => {
      const { expires, originalMaxAge } = req.session.cookie;
      return { isDate: expires instanceof Date, expires: expires?.valueOf(), originalMaxAge };
    });
    expect(answer.result).toEqual({ isDate: true, expires: end, originalMaxAge: HOUR });
  });

  test("keeps a changed attribute of its cookie although the data are the same", async () => {
    const { ada } = await apps.signedIn(expressFramework, { settings: { maxAge: HOUR } });
    await ada.visit(({ req }) => {
      req.session.cookie.sameSite = "strict";
    });
    expect((await ada.visit(({ req }) => req.session.cookie.sameSite)).result).toBe("strict");
  });

  test("is touched by a visit that changes nothing, and not written at all before `touchAfter`", async () => {
    const clock = stopClock();
    const settings = { maxAge: HOUR };
    const { ada, bucket, entry } = await apps.signedIn(expressFramework, { settings });
    const created = await entry();
    expect(created).toMatchObject({ write: "create" });
    clock.advance(1000);
    const rare = await expressFramework.start(
      await apps.open(expressFramework, { bucket, touchAfter: undefined }),
      settings,
    );
    await ada.copy(rare).visit();
    expect((await entry()).revision).toBe(created.revision);
    await ada.visit();
    expect(await entry()).toMatchObject({ write: "touch", text: created.text });
  });

  test("shows the application its own data and the cookie, and nothing of the store", async () => {
    const { ada, app } = await apps.signedIn(expressFramework);
    const answer = await ada.visit(({ req, session }) => [
      Object.keys(session).sort(),
      Object.getOwnPropertySymbols(session).length,
      Object.keys(req.session.cookie).sort(),
    ]);
    const fresh = await app.visitor().visit(({ req }) => Object.keys(req.session.cookie).sort());
    expect(answer.result).toEqual([["cookie", "user"], 0, fresh.result]);
  });
});

describe("an error of the store with express-session", () => {
  test("at the end of a request reaches the application after the headers", async () => {
    const store = await apps.open(expressFramework, { maxTtl: HOUR, onTtlTooLong: "error" });
    const app = await expressFramework.start(store, { maxAge: 2 * HOUR });
    const answer = await app.visitor().visit((visit) => {
      change({ user: "ada" })(visit);
      return "sent";
    });
    expect(answer).toMatchObject({ status: 200, result: "sent" });
    await until("the late error", () => app.failures.length > 0);
    expect(app.failures).toMatchObject([{ code: "ERR_SESSION_TTL_TOO_LONG" }]);
    expect(await store.sessions.count()).toBe(0);
  });

  test("of a destroy without a callback is an `error` event, and breaks nothing without a listener", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    const store = await expressFramework.Store.open(await connectTo(server, onTestFinished), {
      bucket: newBucket(),
      timeout: 2000,
    });
    // express-session would go on without any req.session between "disconnect" and "connect".
    const events: unknown[] = [];
    for (const name of ["connect", "disconnect"]) store.on(name, () => events.push(name));
    const app = await expressFramework.start(store);
    const ada = app.visitor();
    await ada.visit(change({ user: "ada" }));
    const signOut = (visitor: Visitor<ExpressVisit>) =>
      visitor.visit(async ({ req }) => {
        await server.kill();
        req.session.destroy(undefined as never);
      });
    const restart = async () => {
      await server.restart();
      await until("the session to be there", async () => (await ada.visit()).status === 200);
    };

    // An unhandled rejection would fail the test run.
    expect(await signOut(ada.copy())).toMatchObject({ status: 200 });
    await expect(store.get("any")).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    expect(await ada.visit()).toMatchObject({ status: 500, code: "ERR_SESSION_UNAVAILABLE" });
    await restart();

    const errors: unknown[] = [];
    store.on("error", (error) => errors.push(error));
    expect(await signOut(ada.copy())).toMatchObject({ status: 200 });
    await until("the error event", () => errors.length > 0);
    expect(errors).toMatchObject([{ code: "ERR_SESSION_UNAVAILABLE" }]);
    await restart();
    expect(await seenBy(ada)).toEqual({ user: "ada" });
    expect(events).toEqual([]);
  });
});
