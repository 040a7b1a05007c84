import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Express, RequestHandler } from "express";
import Koa from "koa";
import session from "koa-session";
import { NatsStore } from "koa-session-nats";
import { afterEach, beforeEach, describe, expect, inject, type MockInstance, test, vi } from "vitest";
import { blocksIn, root } from "../package/documents.js";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { Outage } from "./support/outage.js";
import { RawClient } from "./support/raw-client.js";
import { keyOf, Site, setKey } from "./support/site.js";

/** The error handler of a README, word for word. */
async function recipeOf(folder: string): Promise<(app: unknown) => void> {
  const text = await readFile(join(root, folder, "README.md"), "utf8");
  const source = blocksIn(text, "js").find(({ heading }) => heading === "Errors")?.source;
  if (source === undefined) throw new Error(`No error handler in ${folder}`);
  return new Function("app", source) as (app: unknown) => void;
}

const LOST = expect.objectContaining({ code: "ERR_SESSION_UNAVAILABLE" });
const TOO_LARGE = expect.objectContaining({ code: "ERR_SESSION_TOO_LARGE" });
const LATER = { status: 503, body: "Try again in a moment" };

let logged: MockInstance<typeof console.error>;

beforeEach(() => {
  logged = vi.spyOn(console, "error").mockImplementation(() => {});
});

afterEach(() => {
  logged.mockRestore();
});

const logs = () => logged.mock.calls.map(([first]) => first);

describe("the error handler of the README of connect-nats", () => {
  const routes: Record<string, RequestHandler> = {
    "/user": (req, res) => void res.send(String(keyOf(req, "user"))),
    "/too-large": (req, res) => {
      setKey(req, "user", "x".repeat(2_000_000));
      res.send("a page with text");
    },
    "/save-too-large": (req, res, next) => {
      setKey(req, "user", "x".repeat(2_000_000));
      req.session.save((error) => (error ? next(error) : void res.send("a page with text")));
    },
    "/mistake": () => {
      throw new Error("a mistake of the application");
    },
  };

  async function start(defer: Parameters<typeof Site.start>[0], options: object = {}) {
    const recipe = await recipeOf("packages/express");
    const site = await Site.start(defer, {
      routes,
      store: options,
      addErrorHandlers: (app: Express) => recipe(app),
    });
    return { site, client: await site.client(defer) };
  }

  /** The same connection goes on, with the session as it was. */
  async function expectIntact(site: Site, client: RawClient) {
    expect(await client.get("/user")).toMatchObject({ status: 200, body: "ada" });
    expect(site.sockets.count).toBe(1);
    site.sockets.expectReleased();
  }

  test("answers 503 without a cookie when a session cannot be loaded", async ({ onTestFinished }) => {
    const { site, client } = await start(onTestFinished);
    await site.outage.begin();
    const response = await client.get("/user");
    site.outage.end();
    expect(response).toMatchObject(LATER);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(response.headers.has("set-cookie")).toBe(false);
    expect(logs()).toEqual([LOST]);
    await expectIntact(site, client);
  });

  test.for([true, false, { most: 10 }])(
    "leaves a response alone whose save fails at its end, and logs the store's error, with holdResponse %o",
    async (holdResponse, { onTestFinished }) => {
      const { site, client } = await start(onTestFinished, { holdResponse });
      expect(await client.get("/too-large")).toMatchObject({ status: 200, body: "a page with text" });
      await until("the error", () => logs().length > 0);
      await expectIntact(site, client);
      expect(logs()).toEqual([TOO_LARGE]);
    },
  );

  test("leaves a response alone whose save is not answered in time", async ({ onTestFinished }) => {
    const { site, client } = await start(onTestFinished, { touchAfter: 0, timeout: 2000 });
    site.holdSaves();
    expect(await client.get("/user")).toMatchObject({ status: 200, body: "ada" });
    await until("the error", () => logs().length > 0);
    site.release();
    await until("the link to work", async () => (await client.get("/user")).status === 200);
    await expectIntact(site, client);
    expect(logs()[0]).toEqual(LOST);
  });

  test("answers 503 when an application's own save fails", async ({ onTestFinished }) => {
    const { site, client } = await start(onTestFinished);
    expect(await client.get("/save-too-large")).toMatchObject(LATER);
    expect(logs()).toEqual([TOO_LARGE]);
    await expectIntact(site, client);
  });

  test("leaves other errors to Express", async ({ onTestFinished }) => {
    const { site, client } = await start(onTestFinished);
    expect(await client.get("/mistake")).toMatchObject({ status: 500 });
    await expectIntact(site, client);
  });
});

describe("the error handler of the README of koa-session-nats", () => {
  async function start(defer: Parameters<typeof Site.start>[0]) {
    const outage = new Outage(inject("currentServer"), defer);
    const store = await NatsStore.open(outage.connect, { bucket: newBucket(), timeout: 30_000 });
    const app = new Koa();
    app.keys = ["a key of the tests"];
    const errors: unknown[] = [];
    app.on("error", (error) => errors.push(error));
    (await recipeOf("packages/koa"))(app);
    app.use(session({ store, signed: false }, app));
    app.use((ctx) => {
      if (ctx.path === "/begin") ctx.session.user = "ada";
      if (ctx.path === "/too-large") ctx.session.user = "x".repeat(2_000_000);
      if (ctx.path === "/mistake") throw new Error("a mistake of the application");
      ctx.body = String(ctx.session.user);
    });
    let connections = 0;
    const server = app.listen(0, "127.0.0.1").on("connection", () => connections++);
    await new Promise((resolve) => server.once("listening", resolve));
    defer(() => void server.close());
    const client = await RawClient.open((server.address() as { port: number }).port, defer);
    await client.get("/begin");
    const expectIntact = async () => {
      expect(await client.get("/user")).toMatchObject({ status: 200, body: "ada" });
      expect(connections).toBe(1);
    };
    return { outage, client, errors, expectIntact };
  }

  test("answers 503 without a cookie when a session cannot be loaded", async ({ onTestFinished }) => {
    const { outage, client, errors, expectIntact } = await start(onTestFinished);
    await outage.begin();
    const response = await client.get("/user");
    outage.end();
    expect(response).toMatchObject(LATER);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(response.headers.has("set-cookie")).toBe(false);
    expect(errors).toEqual([LOST]);
    await expectIntact();
  });

  test("answers 503 when a session cannot be saved, which stays as it was", async ({ onTestFinished }) => {
    const { client, errors, expectIntact } = await start(onTestFinished);
    expect(await client.get("/too-large")).toMatchObject(LATER);
    expect(errors).toEqual([TOO_LARGE]);
    await expectIntact();
  });

  test("leaves other errors to Koa", async ({ onTestFinished }) => {
    const { client, expectIntact } = await start(onTestFinished);
    expect(await client.get("/mistake")).toMatchObject({ status: 500 });
    await expectIntact();
  });
});
