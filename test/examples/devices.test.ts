import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type LoginExample, loginExamples, type RunningApp } from "./apps.js";
import { Browser, tokenOf } from "./browser.js";
import { devicesOf, devicesOn, handleOfThis, isSignedIn, sendDeviceForm } from "./device-list.js";

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";
const iPhone =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";

let server: NatsServer;
let nc: NatsConnection;
/** Both applications on one bucket. */
let apps: Map<string, RunningApp>;

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connect({ servers: server.url });
  apps = new Map();
  for (const { framework, start } of loginExamples) apps.set(framework, await start(nc));
});

afterAll(async () => {
  await Promise.all([...(apps?.values() ?? [])].map((app) => app.close()));
  await nc?.close();
  await server?.stop();
});

describe.each(loginExamples)("the devices of the $framework app", (example) => {
  const { framework, cookieName } = example;
  const other = loginExamples.find((candidate) => candidate !== example) as LoginExample;
  let here: RunningApp;
  let there: RunningApp;
  let browser: Browser;

  beforeEach(async () => {
    here = apps.get(framework) as RunningApp;
    there = apps.get(other.framework) as RunningApp;
    await here.sessions.clear();
    browser = await signedIn(here, firefox);
    vi.spyOn(console, "error").mockImplementation(() => {});
    return () => vi.restoreAllMocks();
  });

  test("are all sessions of the person, in either application, told apart", async () => {
    const elsewhere = await signedIn(there, iPhone);
    await signedIn(here, "", "grace");
    await new Browser(here.url).get("/sign-in");
    expect((await browser.get("/")).text).toContain('<a href="/devices">');

    const page = await browser.get("/devices");
    expect(page).toMatchObject({ status: 200 });
    const [first, second, ...more] = devicesOn(page);
    expect(more).toEqual([]);
    expect(first).toMatchObject({ browser: "Firefox on Linux", isThis: true });
    expect(first?.text).toContain(`${framework} app · 127.0.0.1`);
    expect(second).toMatchObject({ browser: "Safari on iOS", isThis: false });
    expect(second?.text).toContain(`${other.framework} app · 127.0.0.1`);
    expect(second?.text).toMatch(
      /Signed in \d+ \w+ \d{4}, \d\d:\d\d UTC Last seen \d+ \w+ \d{4}, \d\d:\d\d UTC/,
    );
    expect(second?.text).toContain(`Sign out Safari on iOS (${other.framework}), signed in`);

    expect((await devicesOf(elsewhere)).map(({ handle, isThis }) => [handle, isThis])).toEqual([
      [second?.handle, true],
      [first?.handle, false],
    ]);
    expect(devicesOn(await browser.get("/devices/list"))).toEqual([first, second]);
  });

  test("tell a person with more sessions than fit on a page", async () => {
    for (let begun = 0; begun < 101; begun++) await begin(`session ${begun}`);
    const page = await browser.get("/devices");
    expect(devicesOn(page)).toHaveLength(101);
    expect(devicesOn(page)[0]?.isThis).toBe(true);
    expect(page.text).toContain("there are more");
  });

  test("can be signed out one by one", async () => {
    const elsewhere = await signedIn(there, iPhone);
    const page = await sendDeviceForm(browser, "/devices/end", { handle: await handleOfThis(elsewhere) });
    expect(page.status).toBe(303);
    expect(page.headers.get("location")).toBe("/devices");

    const after = await browser.get("/devices");
    expect(devicesOn(after)).toHaveLength(1);
    expect(after.text).toContain("One other device was signed out.");
    expect((await browser.get("/devices")).text).not.toContain("was signed out");
    expect(await isSignedIn(elsewhere)).toBe(false);
    expect(await isSignedIn(browser)).toBe(true);
  });

  test("include this one", async () => {
    const page = await sendDeviceForm(browser, "/devices/end", { handle: await handleOfThis(browser) });
    expect(page.headers.get("location")).toBe("/devices");
    expect((await browser.get("/devices")).headers.get("location")).toBe("/sign-in");
    expect(await isSignedIn(browser)).toBe(false);
  });

  test("are not other people's: a handle that is foreign, ended or none is 404 and ends nothing", async () => {
    const grace = await signedIn(there, iPhone, "grace");
    const ended = await signedIn(there, iPhone);
    const endedHandle = await handleOfThis(ended);
    await ended.post("/sign-out", { csrf: tokenOf(await ended.get("/")) });
    const anonymous = new Browser(here.url);
    await anonymous.get("/sign-in");

    const foreign = [await handleOfThis(grace)];
    for await (const handle of here.sessions.handles()) foreign.push(handle);
    const own = await handleOfThis(browser);
    const strange = [
      "",
      "no handle",
      "A".repeat(43),
      "*",
      ">",
      "../u",
      `${own}.`,
      own.toLowerCase(),
      endedHandle,
    ];
    const before = await liveHandles();
    for (const handle of [...foreign.filter((handle) => handle !== own), ...strange]) {
      const page = await sendDeviceForm(browser, "/devices/end", { handle });
      expect(page.status, handle).toBe(404);
      expect(page.text).toContain("That device is not signed in");
    }
    expect((await sendDeviceForm(browser, "/devices/end")).status).toBe(404);
    expect(await liveHandles()).toEqual(before);
    expect(await isSignedIn(grace)).toBe(true);
    expect((await anonymous.post("/sign-in", {})).status).toBe(403);
  });

  test("but this can all be signed out, and a copy of this one's cookie is then worth nothing", async () => {
    const others = [await signedIn(there, iPhone), await signedIn(here, iPhone)];
    const grace = await signedIn(here, iPhone, "grace");
    const copy = browser.copy();
    const page = await sendDeviceForm(browser, "/devices/end-others");
    expect(page).toMatchObject({ status: 303 });

    const after = await browser.get("/devices");
    expect(after.text).toContain("2 other devices were signed out.");
    expect(devicesOn(after)).toMatchObject([{ isThis: true, browser: "Firefox on Linux" }]);
    for (const gone of [...others, copy]) expect(await isSignedIn(gone)).toBe(false);
    expect(browser.cookies.get(cookieName)).not.toBe(copy.cookies.get(cookieName));
    expect(await isSignedIn(grace)).toBe(true);

    await sendDeviceForm(browser, "/devices/end-others");
    expect((await browser.get("/devices")).text).toContain("No other device was signed in.");
  });

  test("can all be signed out with this one", async () => {
    const elsewhere = await signedIn(there, iPhone);
    const grace = await signedIn(there, iPhone, "grace");
    const copy = browser.copy();
    const page = await sendDeviceForm(browser, "/devices/end-all");
    expect(page.headers.get("location")).toBe("/sign-in");
    expect(browser.cookies.has(cookieName)).toBe(false);
    for (const gone of [elsewhere, copy]) expect(await isSignedIn(gone)).toBe(false);
    expect(await isSignedIn(grace)).toBe(true);
  });

  test("are for whoever is signed in, and their forms carry a token", async () => {
    for (const visitor of [new Browser(here.url), await afterSignInPage(new Browser(here.url))]) {
      expect((await visitor.get("/devices")).headers.get("location")).toBe("/sign-in");
      expect(await visitor.get("/devices/list")).toMatchObject({ status: 303, cookies: [] });
      expect(await visitor.get("/devices/events")).toMatchObject({ status: 401, cookies: [] });
      for (const path of ["/devices/end", "/devices/end-others", "/devices/end-all"]) {
        expect((await visitor.post(path, { csrf: "made up" })).status).toBe(403);
      }
      const csrf = await visitor.signInToken();
      expect((await visitor.post("/devices/end-all", { csrf })).status).toBe(401);
    }
    const handle = await handleOfThis(await signedIn(there, iPhone));
    for (const path of ["/devices/end", "/devices/end-others", "/devices/end-all"]) {
      expect((await browser.post(path, { handle })).status).toBe(403);
    }
    expect(await devicesOf(browser)).toHaveLength(2);
  });

  test("may have strange names", async () => {
    const strange = await signedIn(there, `<script>alert(1)</script> Firefox/1 ${"x".repeat(2_000)}`);
    const page = await browser.get("/devices");
    expect(page.text).not.toContain("<script>");
    expect(devicesOn(page)).toHaveLength(2);
    expect(await isSignedIn(strange)).toBe(true);
    await signedIn(there, "-");
    expect((await devicesOf(browser)).map((device) => device.browser)).toContain("Unknown browser");
  });

  test("have the address that the proxy in front of the application tells", async () => {
    const secure = await example.start(nc, { secure: true });
    try {
      const proxied = new Browser(secure.url, [], {
        "x-forwarded-proto": "https",
        "x-forwarded-for": "203.0.113.9, 198.51.100.7",
      });
      await proxied.signIn();
      expect((await devicesOf(proxied)).find(({ isThis }) => isThis)?.text).toContain("· 198.51.100.7 ");
    } finally {
      await secure.close();
    }
  });

  /** A session of Ada's, without the time that checking a password takes. */
  async function begin(id: string): Promise<void> {
    await here.sessions.save(id, { userId: "ada", signedInAt: Date.now() });
  }

  async function liveHandles(): Promise<string[]> {
    const handles: string[] = [];
    for await (const handle of here.sessions.handles()) handles.push(handle);
    return handles.sort();
  }
});

async function signedIn(app: RunningApp, userAgent: string, user = "ada"): Promise<Browser> {
  const browser = new Browser(app.url, [], { "user-agent": userAgent });
  const page = await browser.signIn(user, user === "ada" ? "lovelace" : "hopper");
  expect(page.status).toBe(303);
  return browser;
}

async function afterSignInPage(visitor: Browser): Promise<Browser> {
  await visitor.get("/sign-in");
  return visitor;
}
