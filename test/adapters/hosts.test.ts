import fastifyCookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import { NatsStore, type NatsStoreOptions } from "connect-nats";
import express from "express";
import openidConnect from "express-openid-connect";
import fastify from "fastify";
import { describe, expect, inject, type TestContext, test } from "vitest";
import { type Connection, clients, newBucket } from "../support/variants.js";
import { Browser } from "./support/browser.js";
import { Gate } from "./support/gate.js";
import { Outage } from "./support/outage.js";

type Defer = TestContext["onTestFinished"];
type Session = Record<string, unknown>;

/** What a request does with its session; what it returns is the response. */
type Step = (session: Session, end: () => Promise<unknown>) => unknown;

/** A host that gives the store objects of its own: it saves a copy of what it has loaded. */
interface Host {
  readonly name: string;
  /** Starts an application that runs the step of a request's path. @returns its URL */
  start(store: NatsStore, steps: Record<string, Step>, defer: Defer): Promise<string>;
}

const hosts: Host[] = [
  {
    name: "@fastify/session",
    async start(store, steps, defer) {
      const app = fastify({ forceCloseConnections: true });
      app.register(fastifyCookie);
      app.register(fastifySession, {
        store: store as never,
        secret: "a secret of the tests that is long",
        cookie: { secure: false, maxAge: 3_600_000 },
        saveUninitialized: false,
      });
      app.get("/:step", async (request) => {
        const { step } = request.params as { step: string };
        const result = await steps[step]?.(request.session as never, () => request.session.destroy());
        return { result };
      });
      app.setErrorHandler((error: { code?: string }, _request, reply) =>
        reply.code(500).send({ code: error.code }),
      );
      defer(() => app.close());
      return app.listen({ host: "127.0.0.1", port: 0 });
    },
  },
  {
    name: "express-openid-connect",
    async start(store, steps, defer) {
      const app = express();
      app.use(
        openidConnect.auth({
          issuerBaseURL: "https://issuer.invalid",
          baseURL: "http://127.0.0.1",
          clientID: "a client",
          secret: "a secret of the tests that is long",
          authRequired: false,
          session: { store: store as never },
        }),
      );
      app.get("/:step", async (req, res) => {
        const { appSession } = req as unknown as { appSession: Session };
        const end = async () => {
          Object.assign(req, { appSession: null });
        };
        const result = await steps[req.params.step]?.(appSession, end);
        res.json({ result });
      });
      const report: express.ErrorRequestHandler = (error, _req, res, _next) => {
        res.status(500).json({ code: error.code });
      };
      app.use(report);
      const server = app.listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      defer(() => {
        server.closeAllConnections();
        server.close();
      });
      return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    },
  },
];

async function openStore(defer: Defer, options: NatsStoreOptions = {}) {
  const nc = (await clients["@nats-io/transport-node 3"]?.({
    servers: inject("currentServer"),
  })) as Connection;
  defer(() => nc.close());
  const bucket = options.bucket ?? newBucket();
  const store = await NatsStore.open(nc, { timeout: 30_000, ...options, bucket });
  defer(() => store.close());
  const gone: string[] = [];
  store.on("gone", ({ operation }) => gone.push(operation));
  return { nc, store, bucket, gone };
}

const signIn: Step = (session) => {
  session.user = "ada";
  return "in";
};
const whoAmI: Step = (session) => session.user ?? null;
const see: Step = (session) => ({ ...session });

describe.each(hosts)("$name", (host) => {
  test("a request that only reads sends at most two messages", async ({ onTestFinished }) => {
    const { nc, store } = await openStore(onTestFinished);
    const url = await host.start(store, { signIn, whoAmI }, onTestFinished);
    const ada = new Browser(url);
    await ada.get("/signIn");
    for (let visits = 0; visits < 3; visits++) {
      const before = nc.stats().outMsgs;
      expect(await ada.get("/whoAmI")).toMatchObject({ status: 200, body: { result: "ada" } });
      expect(nc.stats().outMsgs - before).toBeLessThanOrEqual(2);
    }
  });

  test("a request that changes its session sends at most two messages", async ({ onTestFinished }) => {
    const { nc, store } = await openStore(onTestFinished);
    const url = await host.start(
      store,
      { signIn, count: (session) => Object.assign(session, { n: Number(session.n ?? 0) + 1 }).n },
      onTestFinished,
    );
    const ada = new Browser(url);
    await ada.get("/signIn");
    for (let visits = 1; visits < 4; visits++) {
      const before = nc.stats().outMsgs;
      expect(await ada.get("/count")).toMatchObject({ body: { result: visits } });
      expect(nc.stats().outMsgs - before).toBeLessThanOrEqual(2);
    }
  });

  test("a sign-out ends the session, and at most three messages are sent", async ({ onTestFinished }) => {
    const { nc, store } = await openStore(onTestFinished);
    const url = await host.start(
      store,
      { signIn, whoAmI, signOut: (_session, end) => end() },
      onTestFinished,
    );
    const ada = new Browser(url);
    await ada.get("/signIn");
    const copy = ada.copy();
    const before = nc.stats().outMsgs;
    expect(await ada.get("/signOut")).toMatchObject({ status: 200 });
    expect(nc.stats().outMsgs - before).toBeLessThanOrEqual(3);
    expect(await store.sessions.count({ exact: true })).toBe(0);
    expect(await copy.get("/whoAmI")).toMatchObject({ body: { result: null } });
  });

  test("a request does not bring back a session that another one has ended meanwhile", async ({
    onTestFinished,
  }) => {
    const { store, gone } = await openStore(onTestFinished);
    const [waiting, gate] = [new Gate(), new Gate()];
    const slow: Step = async (session) => {
      waiting.open();
      await gate.opened;
      session.late = true;
    };
    const steps = { signIn, whoAmI, slow, signOut: ((_session, end) => end()) as Step };
    const url = await host.start(store, steps, onTestFinished);
    const ada = new Browser(url);
    await ada.get("/signIn");
    const other = ada.copy();
    const copy = ada.copy();
    const late = other.get("/slow");
    await waiting.opened;
    await ada.get("/signOut");
    gate.open();
    expect((await late).status).toBe(200);
    expect(gone).toEqual(["save"]);
    expect(await store.sessions.count({ exact: true })).toBe(0);
    expect(await copy.get("/whoAmI")).toMatchObject({ body: { result: null } });
  });

  test("a request that only reads does not bring back a session that has ended meanwhile", async ({
    onTestFinished,
  }) => {
    const { store } = await openStore(onTestFinished);
    const [waiting, gate] = [new Gate(), new Gate()];
    const slow: Step = async () => {
      waiting.open();
      await gate.opened;
    };
    const url = await host.start(store, { signIn, whoAmI, slow }, onTestFinished);
    const ada = new Browser(url);
    await ada.get("/signIn");
    const copy = ada.copy();
    const late = ada.get("/slow");
    await waiting.opened;
    await store.sessions.clear();
    gate.open();
    expect((await late).status).toBe(200);
    expect(await store.sessions.count({ exact: true })).toBe(0);
    expect(await copy.get("/whoAmI")).toMatchObject({ body: { result: null } });
  });

  test("a session that could not be loaded is not ended, nor replaced", async ({ onTestFinished }) => {
    const outage = new Outage(inject("currentServer"), onTestFinished);
    const store = await NatsStore.open(outage.connect, { bucket: newBucket(), timeout: 30_000 });
    const url = await host.start(store, { signIn, whoAmI }, onTestFinished);
    const ada = new Browser(url);
    await ada.get("/signIn");
    const copies = [ada.copy(), ada.copy(), ada.copy()];
    await outage.begin();
    expect(await copies[0]?.get("/whoAmI")).toMatchObject({
      status: 500,
      body: { code: "ERR_SESSION_UNAVAILABLE" },
    });
    expect(await copies[1]?.get("/signIn")).toMatchObject({
      status: 500,
      body: { code: "ERR_SESSION_UNAVAILABLE" },
    });
    outage.end();
    expect(await copies[2]?.get("/whoAmI")).toMatchObject({ body: { result: "ada" } });
  });
});

describe("@fastify/session", () => {
  const host = hosts[0] as Host;

  test("requests that overlap keep each other's keys, and `resolve` decides about those that both changed", async ({
    onTestFinished,
  }) => {
    const { store } = await openStore(onTestFinished, {
      resolve: (key, { base, ours, theirs }) =>
        key === "n" ? Number(ours) + Number(theirs) - Number(base ?? 0) : ours,
    });
    let loaded = 0;
    const all = new Gate();
    const change =
      (key: string): Step =>
      async (session) => {
        if (++loaded === 3) all.open();
        await all.opened;
        session[key] = true;
        session.n = Number(session.n ?? 0) + 1;
      };
    const steps = { signIn, see, a: change("a"), b: change("b"), c: change("c") };
    const ada = new Browser(await host.start(store, steps, onTestFinished));
    await ada.get("/signIn");
    await Promise.all(["/a", "/b", "/c"].map((path) => ada.copy().get(path)));
    expect((await ada.get("/see")).body).toMatchObject({
      result: { user: "ada", a: true, b: true, c: true, n: 3 },
    });
  });

  test("two saves and an end in one request leave no session", async ({ onTestFinished }) => {
    const { store, gone } = await openStore(onTestFinished);
    const steps: Record<string, Step> = {
      signIn,
      whoAmI,
      twice: async (session) => {
        const { save } = session as unknown as { save(): Promise<void> };
        for (const n of [1, 2, 3]) {
          session.n = n;
          await save.call(session);
        }
        session.n = 4;
      },
      regenerate: (session) =>
        (session as unknown as { regenerate(keys: string[]): Promise<void> }).regenerate(["user"]),
      n: (session) => session.n ?? null,
    };
    const ada = new Browser(await host.start(store, steps, onTestFinished));
    await ada.get("/signIn");
    await ada.get("/twice");
    expect(await ada.get("/n")).toMatchObject({ body: { result: 4 } });
    const old = ada.copy();
    expect((await ada.get("/regenerate")).status).toBe(200);
    expect(await old.get("/whoAmI")).toMatchObject({ body: { result: null } });
    expect(await ada.get("/whoAmI")).toMatchObject({ body: { result: "ada" } });
    expect(gone).toEqual([]);
  });
});

test("express-openid-connect keeps everything under one key, which `resolve` can merge", async ({
  onTestFinished,
}) => {
  const { store } = await openStore(onTestFinished, {
    resolve: (key, { ours, theirs }) =>
      key === "data" ? { ...(theirs as object), ...(ours as object) } : ours,
  });
  let loaded = 0;
  const both = new Gate();
  const change =
    (key: string): Step =>
    async (session) => {
      if (++loaded === 2) both.open();
      await both.opened;
      session[key] = true;
    };
  const steps = { signIn, see, a: change("a"), b: change("b") };
  const ada = new Browser(await (hosts[1] as Host).start(store, steps, onTestFinished));
  await ada.get("/signIn");
  await Promise.all(["/a", "/b"].map((path) => ada.copy().get(path)));
  expect((await ada.get("/see")).body).toMatchObject({ result: { user: "ada", a: true, b: true } });
});

describe("a call of `set` for a session that was not loaded", () => {
  test("sends at most two messages, whoever has stored the session", async ({ onTestFinished }) => {
    const { store, bucket } = await openStore(onTestFinished);
    const { nc, store: other } = await openStore(onTestFinished, { bucket });
    await store.set("id", { cookie: {}, n: 1 } as never);
    for (const n of [2, 3]) {
      const before = nc.stats().outMsgs;
      await other.set("id", { cookie: {}, n } as never);
      expect(nc.stats().outMsgs - before).toBeLessThanOrEqual(2);
      expect(await store.get("id")).toMatchObject({ n });
    }
  });

  test("stores a session that was not there, or was ended, with at most two messages", async ({
    onTestFinished,
  }) => {
    const { nc, store } = await openStore(onTestFinished);
    for (const n of [1, 2]) {
      const before = nc.stats().outMsgs;
      await store.set("id", { cookie: {}, n } as never);
      expect(nc.stats().outMsgs - before).toBeLessThanOrEqual(2);
      expect(await store.get("id")).toMatchObject({ n });
      await store.destroy("id");
    }
  });
});
