import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/wait.js";
import { Browser, type Page } from "./browser.js";
import { type RunningScript, Scripts } from "./script.js";

// The examples that are meant to be copied: one file each, run as a user runs it.
const examples = fileURLToPath(new URL("../../examples/", import.meta.url));
const ada = { user: "ada", password: "lovelace" };
let server: NatsServer;

beforeAll(async () => {
  server = await startNatsServer();
});

afterAll(() => server?.stop());

function start(scripts: Scripts, name: string): Promise<RunningScript> {
  return scripts.start(["server.js"], { cwd: join(examples, name), env: { NATS_URL: server.url } });
}

test.each([
  ["express", 60],
  ["express-commonjs", 60],
  ["koa", 60],
  ["devices", 200],
])("the example %s is one file of at most %i lines", async (name, most) => {
  const lines = (await readFile(join(examples, name, "server.js"), "utf8")).trimEnd().split("\n");
  expect(lines.length).toBeLessThanOrEqual(most);
});

describe.each(["express", "koa"])("the example %s", (name) => {
  test("signs in with a new id, counts visits over a restart, and signs out", async () => {
    await using scripts = new Scripts();
    const app = await start(scripts, name);
    const browser = new Browser(app.url);
    expect((await browser.get("/")).text).toContain('action="/sign-in"');
    expect((await browser.post("/sign-in", { ...ada, password: "wrong" })).status).toBe(401);
    expect((await browser.post("/sign-in", { user: "toString", password: "x" })).status).toBe(401);

    expectRedirect(await browser.post("/sign-in", ada));
    expect((await browser.get("/")).text).toContain("ada, visit 1");
    const before = browser.copy();
    expectRedirect(await browser.post("/sign-in", ada));
    expect(browser.cookie).not.toBe(before.cookie);
    expect((await before.get("/")).text).toContain('action="/sign-in"');
    expect(await app.stop()).toBe(0);

    const second = await start(scripts, name);
    const returned = new Browser(second.url, browser.cookies);
    expect((await returned.get("/")).text).toContain("ada, visit 2");
    const copy = returned.copy();
    expectRedirect(await returned.post("/sign-out", {}));
    for (const visitor of [returned, copy]) expect((await visitor.get("/")).text).not.toContain("visit");
    expect(second.errors).toBe("");
  });

  test("answers 503 while NATS is away, and signs nobody out", async () => {
    await using scripts = new Scripts();
    const app = await start(scripts, name);
    const browser = new Browser(app.url);
    await browser.post("/sign-in", ada);
    const healthy = await new Browser(app.url).get("/healthz");
    expect(healthy).toMatchObject({ status: 200, cookies: [] });
    expect(JSON.parse(healthy.text)).toMatchObject({ bucket: "sessions", feed: "idle" });
    await server.pause();
    const visits = Promise.all([browser.get("/"), new Browser(app.url).get("/healthz")]);
    const [page, health] = await visits.finally(() => server.resume());
    expect(health.status).toBe(503);
    expect(page).toMatchObject({ status: 503, text: "Try again in a moment", cookies: [] });
    expect(page.headers.get("retry-after")).toBe("5");
    expect(app.errors).toContain("Sessions cannot be reached");
    expect((await browser.get("/")).text).toContain("ada, visit 1");
  });
});

describe("the example express-commonjs", () => {
  test("starts before NATS does", async () => {
    await using scripts = new Scripts();
    const first = await start(scripts, "express-commonjs");
    const before = new Browser(first.url);
    expect((await before.get("/")).text).toBe("1 visits");
    expect(await first.stop()).toBe(0);

    await server.kill();
    const app = await start(scripts, "express-commonjs");
    const browser = new Browser(app.url, before.cookies);
    const early = await browser.get("/").finally(() => server.restart());
    expect(early).toMatchObject({ status: 503, cookies: [] });
    let page = early;
    await until("a page", async () => {
      page = await browser.get("/");
      return page.status === 200;
    });
    expect(page.text).toBe("2 visits");
    expect(await app.stop()).toBe(0);
  });
});

describe("the example devices", () => {
  test("ends one device, tells its page at once, and ends no session of another user", async () => {
    await using scripts = new Scripts();
    const app = await start(scripts, "devices");
    const [computer, phone, grace] = [
      visitor(app, "Firefox/1"),
      visitor(app, "Safari/1"),
      visitor(app, "Edg/1"),
    ];
    for (const browser of [computer, phone]) expectRedirect(await browser.post("/sign-in", ada));
    expectRedirect(await grace.post("/sign-in", { user: "grace", password: "hopper" }));
    expect((await computer.post("/sign-in", { ...ada, password: "" })).text).toContain(
      "Wrong user name or password",
    );
    const page = await computer.get("/");
    expect(page.text).toContain("<b>Firefox</b> (this device)");
    expect(page.text).toContain("<b>Safari</b> <br>");
    expect(page.text).not.toContain("Edge");
    const [handle = ""] = handlesOn(page);

    const told = await follow(phone);
    expect((await grace.post("/end", { handle })).status).toBe(404);
    expect((await grace.post("/end", {})).status).toBe(404);
    expectRedirect(await computer.post("/end", { handle }));
    expect(await told.reason).toBe("destroyed");
    expect((await phone.get("/")).headers.get("location")).toBe("/sign-in");
    expect(handlesOn(await computer.get("/"))).toEqual([]);
    expect((await grace.get("/")).status).toBe(200);
  });

  test("lists a session that another application began in the same bucket", async () => {
    const nc = await connect({ servers: server.url });
    const sessions = new SessionStore(nc, { user: (data) => data.user });
    const id = "an id of another application";
    await sessions.save(id, { user: "ada" });
    await using scripts = new Scripts();
    const computer = visitor(await start(scripts, "devices"), "Firefox/1");
    expectRedirect(await computer.post("/sign-in", ada));
    const page = await computer.get("/");
    expect(page.status).toBe(200);
    expect(page.text).toContain("<b>Unknown browser</b>");
    await sessions.destroy(id);
    await nc.close();
  });

  test("ends all other devices, and a copy of its own cookie with them", async () => {
    await using scripts = new Scripts();
    const app = await start(scripts, "devices");
    const [computer, phone] = [visitor(app, "Firefox/1"), visitor(app, "Safari/1")];
    for (const browser of [computer, phone]) expectRedirect(await browser.post("/sign-in", ada));
    const copy = computer.copy();
    const told = [await follow(phone), await follow(copy)];
    expectRedirect(await computer.post("/end-others", {}));
    expect(await Promise.all(told.map(({ reason }) => reason))).toEqual(["destroyed", "rotated"]);
    for (const browser of [phone, copy]) expect((await browser.get("/")).status).toBe(303);
    expect((await computer.get("/")).status).toBe(200);
    const open = await follow(computer);
    expect(await app.stop()).toBe(0);
    expect(await open.reason).toBeUndefined();
  });

  function visitor(app: RunningScript, userAgent: string): Browser {
    return new Browser(app.url, [], { "user-agent": userAgent });
  }

  function handlesOn({ text }: Page): string[] {
    return [...text.matchAll(/name="handle" value="([\w-]{43})"/g)].map(([, handle = ""]) => handle);
  }

  /** Opens the page's event stream. `reason`: its one message, which comes when the session ends. */
  async function follow(browser: Browser): Promise<{ reason: Promise<string | undefined> }> {
    const response = await browser.open("/ended", {});
    const text = response.text().catch(() => "");
    return { reason: text.then((message) => /^data: (.+)$/m.exec(message)?.[1]) };
  }
});

function expectRedirect({ status, headers }: Page): void {
  expect([302, 303]).toContain(status);
  expect(headers.get("location")).toBe("/");
}
