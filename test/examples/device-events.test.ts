import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { until } from "../support/wait.js";
import { type LoginExample, loginExamples, type RunningApp, startHasty } from "./apps.js";
import { Browser, tokenOf } from "./browser.js";
import { expireIn, handleOfThis, isSignedIn, sendDeviceForm } from "./device-list.js";
import { EventStream } from "./event-stream.js";

let server: NatsServer;
let nc: NatsConnection;
/** Both applications on one bucket; every touch is stored. */
let apps: Map<string, RunningApp>;
let streams: EventStream[];

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  apps = new Map();
  for (const { framework, start } of loginExamples) {
    apps.set(framework, await start(nc, { store: { touchAfter: 0 } }));
  }
});

afterAll(async () => {
  await Promise.all([...(apps?.values() ?? [])].map((app) => app.close()));
  await nc?.close();
  await server?.stop();
});

beforeEach(() => {
  streams = [];
});

afterEach(() => {
  for (const stream of streams) stream.close();
});

describe.each(loginExamples)("events of the $framework app's devices page", (example) => {
  const { framework } = example;
  const other = loginExamples.find((candidate) => candidate !== example) as LoginExample;
  let here: RunningApp;
  let there: RunningApp;
  let browser: Browser;

  beforeEach(async () => {
    here = apps.get(framework) as RunningApp;
    there = apps.get(other.framework) as RunningApp;
    browser = await signedIn(here);
    vi.spyOn(console, "error").mockImplementation(() => {});
    return () => vi.restoreAllMocks();
  });

  test("tell what happens to the person's sessions in either application, and nothing of others", async () => {
    const stream = await open(browser);
    expect(stream.headers.get("content-type")).toMatch("text/event-stream");
    expect(stream.headers.get("cache-control")).toContain("no-store");
    expect(stream.headers.getSetCookie()).toEqual([]);

    const grace = await signedIn(there, "grace");
    const elsewhere = await signedIn(there);
    const handle = await handleOfThis(elsewhere);
    await stream.told({ type: "created", handle });
    await elsewhere.get("/no-such-page");
    await stream.told({ type: "touched", handle });
    await elsewhere.get("/");
    await stream.told({ type: "updated", handle });
    const graces = await handleOfThis(grace);
    await sendDeviceForm(grace, "/devices/end-all");
    await elsewhere.post("/sign-out", { csrf: tokenOf(await elsewhere.get("/")) });
    await stream.told({ type: "destroyed", handle });

    expect(stream.messages.map((message) => message.handle)).not.toContain(graces);
    expect(new Set(stream.messages.map((message) => message.handle))).toEqual(new Set([handle]));
    for (const { at } of stream.messages) expect(Math.abs((at ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  test("end with the page's own session, whoever ends it", async () => {
    const stream = await open(browser);
    const elsewhere = await signedIn(there);
    await sendDeviceForm(elsewhere, "/devices/end", { handle: await handleOfThis(browser) });
    await stream.told({ type: "ended", by: "destroyed" });
    await until("the stream to end", () => stream.end === "complete");
    expect(await browser.get("/devices/events")).toMatchObject({ status: 401, cookies: [] });
    expect(await browser.get("/devices/list")).toMatchObject({ status: 303, cookies: [] });
  });

  test("tell of sessions that expire, and end with one's own, which being open does not prolong", async () => {
    const visitor = await signedIn(there);
    const handle = await handleOfThis(visitor);
    const stream = await open(visitor);
    const onlooker = await open(browser);
    await expireIn(2_000, there, visitor.cookies.get(other.cookieName));
    await stream.told({ type: "ended", by: "expired" });
    await until("the stream to end", () => stream.end === "complete");
    await onlooker.told({ type: "expired", handle });
    expect(await isSignedIn(visitor)).toBe(false);
  });

  test("leave the session as it is, as the list does", async () => {
    const [before] = await sessionsOf("ada", await handleOfThis(browser));
    await open(browser);
    const list = await browser.get("/devices/list");
    expect(list.cookies).toEqual([]);
    expect(list.text).toContain(before?.handle);
    const [after] = await sessionsOf("ada", before?.handle);
    expect(after).toMatchObject({ revision: before?.revision, expiresAt: before?.expiresAt });

    await browser.get("/devices");
    const [renewed] = await sessionsOf("ada", before?.handle);
    expect(renewed?.revision).toBeGreaterThan(before?.revision ?? 0);
  });

  test("come from one subscription, however many pages are open", async () => {
    const first = await open(browser);
    const subscribe = vi.spyOn(nc, "subscribe");
    const pages = await Promise.all(Array.from({ length: 5 }, () => open(browser)));
    expect(subscribe).not.toHaveBeenCalled();
    const handle = await handleOfThis(await signedIn(there));
    for (const stream of [first, ...pages]) await stream.told({ type: "created", handle });
  });

  test("go on after an outage, which signs nobody out", async () => {
    const stream = await open(browser);
    const elsewhere = await signedIn(there);
    const handle = await handleOfThis(elsewhere);
    const hasty = await startHasty(example, nc, { touchAfter: 0 });
    const visitor = new Browser(hasty.url, browser.cookies);
    await server.pause();
    try {
      expect((await visitor.get("/devices/list")).status).toBe(503);
      expect((await visitor.get("/devices/events")).status).toBe(503);
      expect(await visitor.get("/devices")).toMatchObject({ status: 503, cookies: [] });
    } finally {
      await server.resume();
    }
    expect(stream.messages.map(({ type }) => type)).not.toContain("ended");
    expect(stream.end).toBe("open");
    await until("the list of the hasty app", async () => (await visitor.get("/devices/list")).status === 200);
    await hasty.close();
    expect(await sendDeviceForm(elsewhere, "/devices/end", { handle })).toMatchObject({ status: 303 });
    await stream.told({ type: "destroyed", handle });
  });

  test("say that the connection is down, and that it is up again", async () => {
    const stream = await open(browser);
    await server.kill();
    try {
      await stream.told({ type: "cut" });
    } finally {
      await server.restart();
    }
    await stream.told({ type: "resumed" });
    expect(await isSignedIn(browser)).toBe(true);
  });

  async function sessionsOf(user: string, handle: string | undefined) {
    const found = [];
    for await (const session of here.sessions.listByUser(user))
      if (session.handle === handle) found.push(session);
    return found;
  }
});

async function open(browser: Browser): Promise<EventStream> {
  const stream = await EventStream.open(browser);
  streams.push(stream);
  return stream;
}

async function signedIn(app: RunningApp, user = "ada"): Promise<Browser> {
  const browser = new Browser(app.url);
  expect((await browser.signIn(user, user === "ada" ? "lovelace" : "hopper")).status).toBe(303);
  return browser;
}
