import type { NatsStore } from "connect-nats";
import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { stopApps } from "./support/app.js";
import { entryOf } from "./support/entry.js";
import { type ExpressVisit, expressFramework } from "./support/express.js";
import { connectTo, PATIENT, startServer } from "./support/servers.js";
import type { Visitor } from "./support/visitor.js";

const HOUR = 3_600_000;

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

const openStore = (options: SessionStoreOptions = {}) =>
  expressFramework.Store.open(nc, { bucket: newBucket(), timeout: PATIENT, ...options });

const idOf = (visitor: Visitor<ExpressVisit>) => expressFramework.idOf(visitor) as string;
const expiryOf = async (store: NatsStore, visitor: Visitor<ExpressVisit>) =>
  (await store.sessions.load(idOf(visitor)))?.expiresAt ?? 0;

describe("express-session's own ways", () => {
  test('unset: "destroy" ends the session whose request drops it', async () => {
    const store = await openStore();
    const app = await expressFramework.start(store, { unset: "destroy" });
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    await ada.visit(({ req }) => {
      Object.assign(req, { session: null });
    });
    expect(await store.sessions.count({ exact: true })).toBe(0);
    expect((await ada.visit(({ session }) => session.user)).result).toBeNull();
  });

  test('unset: "keep", the default, leaves it as it was', async () => {
    const store = await openStore();
    const app = await expressFramework.start(store);
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    await ada.visit(({ req }) => {
      Object.assign(req, { session: null });
    });
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("reload() drops this request's changes for what others have stored", async () => {
    const bucket = newBucket();
    const app = await expressFramework.start(await openStore({ bucket }));
    const other = await expressFramework.start(await openStore({ bucket }));
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const answer = await ada.visit(async ({ req, session }) => {
      session.user = "mistaken";
      await ada.copy(other).visit((elsewhere) => {
        elsewhere.session.user = "countess";
      });
      await new Promise<void>((resolve, reject) => {
        req.session.reload((error) => (error ? reject(error) : resolve()));
      });
      const reloaded = (req.session as unknown as { user: string }).user;
      Object.assign(req.session, { views: 1 });
      return reloaded;
    });
    expect(answer).toMatchObject({ status: 200, result: "countess" });
    const next = await ada.visit(({ session }) => [session.user, session.views]);
    expect(next.result).toEqual(["countess", 1]);
  });

  test("reload() of a session that was destroyed elsewhere says so", async () => {
    const app = await expressFramework.start(await openStore());
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const answer = await ada.visit(async ({ req }) => {
      await ada.copy().visit((visit) => visit.destroy());
      return new Promise((resolve) => req.session.reload((error) => resolve(error?.message)));
    });
    expect(answer.result).toBe("failed to load session");
  });

  test("saveUninitialized stores new sessions, resave unchanged ones", async () => {
    const bucket = newBucket();
    const store = await openStore({ bucket });
    const app = await expressFramework.start(store, { saveUninitialized: true, resave: true });
    const ada = app.visitor();
    await ada.visit();
    expect(await store.sessions.count({ exact: true })).toBe(1);
    const first = await entryOf(nc, bucket, idOf(ada));
    await ada.visit();
    const second = await entryOf(nc, bucket, idOf(ada));
    expect(second?.text).toBe(first?.text);
    expect(second?.revision).toBeGreaterThan(first?.revision ?? 0);
  });

  test("a session whose cookie has no maxAge lives for the store's ttl", async () => {
    const store = await openStore({ ttl: HOUR });
    const app = await expressFramework.start(store);
    const ada = app.visitor();
    const sent = Date.now();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const end = await expiryOf(store, ada);
    expect(end).toBeGreaterThanOrEqual(sent + HOUR);
    expect(end).toBeLessThanOrEqual(Date.now() + HOUR);
  });

  test("a maxAge that is taken away leaves the store's ttl, at once", async () => {
    const store = await openStore({ ttl: HOUR });
    const app = await expressFramework.start(store, { maxAge: 60_000 });
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const sent = Date.now();
    await ada.visit(({ req }) => {
      req.session.cookie.expires = null;
    });
    expect(await expiryOf(store, ada)).toBeGreaterThanOrEqual(sent + HOUR);
    const cookie = await ada.visit(({ req }) => req.session.cookie);
    expect(cookie.result).toMatchObject({ originalMaxAge: null, expires: null });
  });

  test("the cookie of a loaded session tells the true end of its life", async () => {
    const store = await openStore({ touchAfter: 0 });
    const app = await expressFramework.start(store, { maxAge: HOUR });
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    await ada.visit();
    const end = await expiryOf(store, ada);
    const answer = await ada.visit(({ req }) => {
      const { expires, originalMaxAge } = req.session.cookie;
      return { isDate: expires instanceof Date, expires: expires?.valueOf(), originalMaxAge };
    });
    expect(answer.result).toEqual({ isDate: true, expires: end, originalMaxAge: HOUR });
  });

  test("a changed attribute of the cookie is stored although the data are the same", async () => {
    const app = await expressFramework.start(await openStore(), { maxAge: HOUR });
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    await ada.visit(({ req }) => {
      req.session.cookie.sameSite = "strict";
    });
    expect((await ada.visit(({ req }) => req.session.cookie.sameSite)).result).toBe("strict");
  });

  test("a visit that changes nothing is a touch; soon after the last write it is no write at all", async () => {
    const bucket = newBucket();
    const [eager, patient] = await Promise.all([
      expressFramework.start(await openStore({ bucket, touchAfter: 0 }), { maxAge: HOUR }),
      expressFramework.start(await openStore({ bucket }), { maxAge: HOUR }),
    ]);
    const ada = eager.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const created = await entryOf(nc, bucket, idOf(ada));
    expect(created).toMatchObject({ write: "create" });

    await ada.copy(patient).visit();
    expect((await entryOf(nc, bucket, idOf(ada)))?.revision).toBe(created?.revision);

    // A touch needs the clock to have moved.
    await until("a touch", async () => {
      await ada.visit();
      return (await entryOf(nc, bucket, idOf(ada)))?.write === "touch";
    });
    expect((await entryOf(nc, bucket, idOf(ada)))?.text).toBe(created?.text);
  });

  test("the session an application sees holds its own data and the cookie, and nothing of the store's", async () => {
    const app = await expressFramework.start(await openStore());
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const answer = await ada.visit(({ req, session }) => [
      Object.keys(session).sort(),
      Object.getOwnPropertySymbols(session).length,
      Object.keys(req.session.cookie).sort(),
    ]);
    const fresh = await app.visitor().visit(({ req }) => Object.keys(req.session.cookie).sort());
    expect(answer.result).toEqual([["cookie", "user"], 0, fresh.result]);
  });
});

describe("what express-session does with errors of the store", () => {
  test("an error of the save at the end of a request reaches the application after the headers", async () => {
    const store = await openStore({ maxTtl: HOUR });
    const app = await expressFramework.start(store, { maxAge: 2 * HOUR });
    const answer = await app.visitor().visit(({ session }) => {
      session.user = "ada";
      return "sent";
    });
    expect(answer).toMatchObject({ status: 200, result: "sent" });
    await until("the late error", () => app.failures.length > 0);
    expect(app.failures).toMatchObject([{ code: "ERR_SESSION_TTL_TOO_LONG" }]);
    expect(await store.sessions.count()).toBe(0);
  });

  test("destroy() without a callback while the server is down breaks nothing", async ({ onTestFinished }) => {
    const server = await startServer(onTestFinished);
    const store = await expressFramework.Store.open(await connectTo(server, onTestFinished), {
      bucket: newBucket(),
      timeout: 2000,
    });
    const app = await expressFramework.start(store);
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const signOut = (visitor: Visitor<ExpressVisit>) =>
      visitor.visit(async ({ req }) => {
        await server.kill();
        req.session.destroy(undefined as never);
      });

    // Told to nobody here: an unhandled rejection would fail the test run.
    expect(await signOut(ada.copy())).toMatchObject({ status: 200 });
    await expect(store.get("any")).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });

    await server.restart();
    await until("the session to be there", async () => (await ada.visit()).status === 200);
    const errors: unknown[] = [];
    store.on("error", (error) => errors.push(error));
    expect(await signOut(ada.copy())).toMatchObject({ status: 200 });
    await until("the error event", () => errors.length > 0);
    expect(errors).toMatchObject([{ code: "ERR_SESSION_UNAVAILABLE" }]);

    await server.restart();
    await until("the session to be there", async () => (await ada.visit()).status === 200);
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("the store never makes express-session go on without sessions", async ({ onTestFinished }) => {
    // It does so between the events "disconnect" and "connect": requests would find no req.session at all.
    const server = await startServer(onTestFinished);
    const store = await expressFramework.Store.open(await connectTo(server, onTestFinished), {
      bucket: newBucket(),
      timeout: 2000,
    });
    const app = await expressFramework.start(store);
    const events: string[] = [];
    for (const name of ["connect", "disconnect"]) store.on(name, () => events.push(name));
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    await server.kill();
    expect(await ada.visit()).toMatchObject({ status: 500, code: "ERR_SESSION_UNAVAILABLE" });
    await server.restart();
    await until("the session to be there", async () => (await ada.visit()).status === 200);
    expect(events).toEqual([]);
  });
});
