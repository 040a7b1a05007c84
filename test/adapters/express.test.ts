import type { NatsStoreOptions } from "connect-nats";
import type { RequestHandler } from "express";
import type { SessionOptions } from "express-session";
import { describe, expect, type TestContext, test } from "vitest";
import { until } from "../support/wait.js";
import { keyOf, Site, setKey } from "./support/site.js";

const user: RequestHandler = (req, res) => void res.send(String(keyOf(req, "user")));

describe.each([false, true])("a browser that follows a redirect of Express, with the cache %s", (cache) => {
  const options: NatsStoreOptions = { cache };

  test("finds the session ended, although the handler did not wait for the end", async ({
    onTestFinished,
  }) => {
    const signOut: RequestHandler = (req, res) => {
      // Without a callback: express-session does not wait either.
      req.session.destroy(undefined as never);
      res.redirect("/user");
    };
    const site = await Site.start(onTestFinished, {
      routes: { "/sign-out": signOut, "/user": user },
      store: options,
    });
    const client = await site.client(onTestFinished);
    expect(await client.get("/user")).toMatchObject({ body: "ada" });
    const again = await site.clientOf(client, onTestFinished);
    site.holdSaves();
    expect(await client.get("/sign-out")).toMatchObject({ status: 302 });
    client.send({ path: "/user" });
    again.send({ path: "/user" });
    await site.turn();
    site.release();
    expect(await client.response()).toMatchObject({ body: "undefined" });
    expect(await again.response()).toMatchObject({ body: "undefined" });
    expect(site.failures).toEqual([]);
  });

  test("finds the session stored, although the response was not held", async ({ onTestFinished }) => {
    const rename: RequestHandler = (req, res) => {
      setKey(req, "user", "grace");
      res.redirect("/user");
    };
    const site = await Site.start(onTestFinished, {
      routes: { "/rename": rename, "/user": user },
      store: { ...options, holdResponse: false },
    });
    const client = await site.client(onTestFinished);
    expect(await client.get("/user")).toMatchObject({ body: "ada" });
    const again = await site.clientOf(client, onTestFinished);
    site.holdSaves();
    client.send({ path: "/rename" });
    await until("the redirect to be read", () => client.unread.includes("Location: /user"));
    again.send({ path: "/user" });
    await site.turn();
    site.release();
    expect(await again.response()).toMatchObject({ body: "grace" });
    expect(await client.response()).toMatchObject({ status: 302 });
  });
});

describe("a touch", { concurrent: true }, () => {
  const HOUR = 3_600_000;

  async function open(defer: TestContext["onTestFinished"]) {
    const { store } = await Site.start(defer, { routes: {}, store: { touchAfter: 0, ttl: 60_000 } });
    return store;
  }

  test("by a request that loaded the session one write ago renews what is there", async ({
    onTestFinished,
  }) => {
    const store = await open(onTestFinished);
    await store.set("id", { cookie: { originalMaxAge: HOUR }, n: 1 } as never);
    const old = await store.get("id");
    const { record } = await store.sessions.save("id", { cookie: { originalMaxAge: HOUR }, n: 2 } as never, {
      record: (await store.sessions.load("id")) ?? undefined,
      ttl: 60_000,
    });
    await store.touch("id", old as never);
    const renewed = await store.sessions.load("id");
    expect(renewed?.data).toMatchObject({ n: 2 });
    expect(renewed?.expiresAt).toBeGreaterThan((record?.expiresAt ?? 0) + HOUR / 2);
  });

  test("with another cookie stores the cookie and none of the data, whichever object it comes with", async ({
    onTestFinished,
  }) => {
    const store = await open(onTestFinished);
    await store.set("id", { cookie: { originalMaxAge: 60_000 }, user: "ada" } as never);
    await store.touch("id", { cookie: { originalMaxAge: HOUR }, user: "mallory", isAdmin: true } as never);
    const record = await store.sessions.load("id");
    expect(record?.data).toEqual({ cookie: { originalMaxAge: HOUR }, user: "ada" });
    expect(record?.expiresAt).toBeGreaterThan(Date.now() + HOUR / 2);
  });

  test("of a session that is not there stores nothing", async ({ onTestFinished }) => {
    const store = await open(onTestFinished);
    await store.touch("id", { cookie: { originalMaxAge: HOUR }, user: "mallory" } as never);
    expect(await store.get("id")).toBeNull();
  });
});

test("keys that cannot pollute are stored, whatever their names", async ({ onTestFinished }) => {
  const { store } = await Site.start(onTestFinished, { routes: {} });
  const data = JSON.parse(
    '{"cookie":{"path":"/"},"constructor":"a builder","toString":1,"hasOwnProperty":[2],"deep":{"constructor":{"name":"x"}}}',
  );
  await store.set("id", data);
  expect(Object.entries((await store.get("id")) ?? {})).toEqual(Object.entries(data));
});

describe('unset: "destroy" of Express', { concurrent: true }, () => {
  async function start(
    defer: TestContext["onTestFinished"],
    routes: Record<string, RequestHandler> = {},
    session: Partial<SessionOptions> = { unset: "destroy" },
  ) {
    const site = await Site.start(defer, {
      routes: { "/user": user, ...routes },
      session,
      // As the README has it.
      onError: (error, req, res, next) => {
        if (!String(error.code).startsWith("ERR_SESSION_")) return next(error);
        if (res.headersSent) return;
        Reflect.deleteProperty(req, "session");
        res.status(503).send(error.code);
      },
    });
    const errors: Error[] = [];
    site.store.on("error", (error) => errors.push(error));
    return { site, errors };
  }

  test("does not end a session that could not be loaded, and says so once", async ({ onTestFinished }) => {
    const { site, errors } = await start(onTestFinished);
    const client = await site.client(onTestFinished);
    await site.outage.begin();
    expect(await client.get("/user")).toMatchObject({ status: 503, body: "ERR_SESSION_UNAVAILABLE" });
    site.outage.end();
    expect(errors).toEqual([expect.objectContaining({ code: "ERR_SESSION_UNAVAILABLE" })]);
    expect(await client.get("/user")).toMatchObject({ status: 200, body: "ada" });
  });

  test("ends a session that was loaded", async ({ onTestFinished }) => {
    const { site, errors } = await start(onTestFinished, {
      "/sign-out": (req, res) => {
        Object.assign(req, { session: null });
        res.send("out");
      },
    });
    const client = await site.client(onTestFinished);
    expect(await client.get("/sign-out")).toMatchObject({ status: 200 });
    expect(await client.get("/user")).toMatchObject({ body: "undefined" });
    expect(errors).toEqual([]);
  });

  test.for<[string, RequestHandler]>([
    [
      "a call of req.session.destroy()",
      (req, res) => req.session.destroy((error) => void res.send(error ?? "done")),
    ],
    [
      "a call of req.session.regenerate()",
      (req, res) => req.session.regenerate((error) => void res.send(error ?? "done")),
    ],
    [
      "a call of store.destroy(), as a promise",
      async (req, res) => {
        await req.sessionStore.destroy(req.sessionID);
        res.send("done");
      },
    ],
    [
      "req.session = null",
      (req, res) => {
        Object.assign(req, { session: null });
        res.send("done");
      },
    ],
  ])("%s ends a session that could not be reloaded", async ([, end], { onTestFinished }) => {
    const started = start(onTestFinished, {
      "/end": async (req, res, next) => {
        const { site } = await started;
        await site.outage.begin();
        req.session.reload((error) => {
          expect(error).toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
          site.outage.end();
          end(req, res, next);
        });
      },
    });
    const { site } = await started;
    const client = await site.client(onTestFinished);
    const copy = await site.clientOf(client, onTestFinished);
    expect(await client.get("/end")).toMatchObject({ status: 200, body: "done" });
    expect(await copy.get("/user")).toMatchObject({ status: 200, body: "undefined" });
  });

  test("a request that could not load its session may end it with a call of store.destroy()", async ({
    onTestFinished,
  }) => {
    const site = await Site.start(onTestFinished, {
      routes: { "/user": user },
      onError: async (error, req, res, _next) => {
        if (error.code === "ERR_SESSION_CORRUPT") await req.sessionStore.destroy(req.sessionID);
        res.status(500).send(error.code);
      },
    });
    const client = await site.client(onTestFinished);
    const id = decodeURIComponent(client.cookie).slice("connect.sid=s:".length).split(".")[0] ?? "";
    await site.store.sessions.save(id, { user: "ada" } as never);
    expect(await client.get("/user")).toMatchObject({ status: 500, body: "ERR_SESSION_CORRUPT" });
    expect(await client.get("/user")).toMatchObject({ status: 200, body: "undefined" });
  });
});
