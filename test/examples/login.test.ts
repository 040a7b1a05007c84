import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { until } from "../support/wait.js";
import { loginExamples, type RunningApp, startHasty } from "./apps.js";
import { Browser, type Page, tokenOf, visitsOf } from "./browser.js";

let server: NatsServer;
let nc: NatsConnection;

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
});

afterAll(async () => {
  await nc?.close();
  await server?.stop();
});

describe.each(loginExamples)("the $framework login app", (example) => {
  const { framework, cookieName } = example;
  let app: RunningApp;
  let browser: Browser;

  beforeAll(async () => {
    app = await example.start(nc);
  });

  beforeEach(() => {
    browser = new Browser(app.url);
    vi.spyOn(console, "error").mockImplementation(() => {});
    return () => vi.restoreAllMocks();
  });

  afterAll(() => app?.close());

  test("shows the sign-in page to whoever is not signed in", async () => {
    const start = await browser.get("/");
    expect(start).toMatchObject({ status: 303, cookies: [] });
    expect(start.headers.get("location")).toBe("/sign-in");

    const page = await browser.get("/sign-in");
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.text).toContain(`on ${framework}</span>`);
    expect(page.text).toContain('<label for="user">');
    expect(page.text).toContain('<label for="password">');
    expect(page.text).toContain("<code>lovelace</code>");
    expect(page.text).not.toContain('role="alert"');
  });

  test("begins no session for pages that need none", async () => {
    for (const [path, status] of [
      ["/healthz", 200],
      ["/style.css", 200],
      ["/icon.svg", 200],
      ["/no-such-page", 404],
    ] as const) {
      expect(await browser.get(path), path).toMatchObject({ status, cookies: [] });
    }
    expect((await browser.get("/style.css")).headers.get("content-type")).toMatch("text/css");
  });

  test("keeps one session however often the sign-in page is shown", async () => {
    const token = await browser.signInToken();
    const cookies = [...browser.cookies];
    expect(await browser.signInToken()).toBe(token);
    expect([...browser.cookies]).toEqual(cookies);
  });

  test("refuses a wrong password and an unknown user with the same words", async () => {
    const wrong = await browser.signIn("ada", "hopper");
    const unknown = await browser.signIn("nobody", "lovelace");
    expect(wrong.status).toBe(401);
    expect(wrong.text).toContain('role="alert"');
    expect(unknown.status).toBe(401);
    expect(unknown.text.replace('value="nobody"', 'value="ada"')).toBe(wrong.text);
    expect((await browser.get("/")).status).toBe(303);
  });

  test("signs in, and counts visits for each session on its own", async () => {
    const other = new Browser(app.url);
    expect(await browser.signIn("ada", "lovelace")).toMatchObject({ status: 303 });
    expect(await other.signIn("grace", "hopper")).toMatchObject({ status: 303 });

    for (const visits of [1, 2, 3]) {
      const page = await browser.get("/");
      expect(page.text).toContain("Ada Lovelace");
      expect(page.text).toMatch(/<time datetime="\d{4}-[^"]+Z">/);
      expect(visitsOf(page)).toBe(visits);
    }
    const page = await other.get("/");
    expect(page.text).toContain("Grace Hopper");
    expect(visitsOf(page)).toBe(1);
    expect((await browser.get("/sign-in")).headers.get("location")).toBe("/");
  });

  test("gives the session a new id at sign-in, and the old one is dead", async () => {
    const csrf = await browser.signInToken();
    const before = browser.copy();
    const sessionsBefore = await liveIds();
    await browser.post("/sign-in", { csrf, user: "ada", password: "lovelace" });

    expect(browser.cookies.get(cookieName)).not.toBe(before.cookies.get(cookieName));
    expect(visitsOf(await browser.get("/"))).toBe(1);
    expect((await before.get("/")).status).toBe(303);
    expect(await before.post("/sign-in", { csrf, user: "ada", password: "lovelace" })).toMatchObject({
      status: 403,
    });
    expect((await liveIds()).length).toBe(sessionsBefore.length);
  });

  test("ends the session at sign-out", async () => {
    await browser.signIn();
    const csrf = tokenOf(await browser.get("/"));
    const before = browser.copy();

    const page = await browser.post("/sign-out", { csrf });
    expect(page.status).toBe(303);
    expect(page.headers.get("location")).toBe("/sign-in");
    expect(browser.cookies.has(cookieName)).toBe(false);
    expect((await before.get("/")).headers.get("location")).toBe("/sign-in");
    expect((await before.post("/sign-out", { csrf })).status).toBe(403);
  });

  test("refuses forms without the session's own token", async () => {
    const others = await new Browser(app.url).signInToken();
    const user = "ada";
    const password = "lovelace";
    await browser.signInToken();
    for (const fields of [{}, { csrf: "" }, { csrf: "wrong" }, { csrf: others }]) {
      expect((await browser.post("/sign-in", { user, password, ...fields })).status).toBe(403);
    }
    expect((await new Browser(app.url).post("/sign-in", { csrf: others, user, password })).status).toBe(403);

    await browser.signIn();
    for (const fields of [{}, { csrf: "wrong" }, { csrf: others }]) {
      const page = await browser.post("/sign-out", fields);
      expect(page.status).toBe(403);
      expect(page.text).toContain('role="alert"');
    }
    expect(visitsOf(await browser.get("/"))).toBe(1);
  });

  test("sends a cookie that scripts and other sites cannot use, and renews it", async () => {
    await browser.signInToken();
    await browser.signIn();
    const first = sessionCookie(await browser.get("/"));
    expect(first).toMatch(/; path=\/(;|$)/i);
    expect(first).toMatch(/; httponly(;|$)/i);
    expect(first).toMatch(/; samesite=lax(;|$)/i);
    expect(first).not.toMatch(/; secure(;|$)/i);
    expect(Math.abs(expiryOf(first) - Date.now() - 86_400_000)).toBeLessThan(60_000);

    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(expiryOf(sessionCookie(await browser.get("/")))).toBeGreaterThan(expiryOf(first));
  });

  test("works behind a proxy that ends TLS, and only there", async () => {
    const secureApp = await example.start(nc, { secure: true });
    try {
      const plain = new Browser(secureApp.url);
      expect(await plain.get("/sign-in")).toMatchObject({ status: 421, cookies: [] });
      expect((await plain.get("/healthz")).status).toBe(200);

      const proxied = new Browser(secureApp.url, [], { "x-forwarded-proto": "https" });
      const page = await proxied.signIn();
      expect(page.status).toBe(303);
      expect(page.headers.get("strict-transport-security")).toMatch("max-age=");
      const cookies = page.cookies.filter((line) => line.startsWith(`__Host-${cookieName}=`));
      expect(cookies.at(-1)).toMatch(/; secure(;|$)/i);
      expect(visitsOf(await proxied.get("/"))).toBe(1);
    } finally {
      await secureApp.close();
    }
  });

  test("escapes what a visitor typed", async () => {
    const page = await browser.signIn(`"><script>alert('&')</script>`, "x");
    expect(page.text).toContain('value="&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"');
    expect(page.text).not.toContain("<script");
  });

  test("sends security headers with every answer", async () => {
    const pages = await Promise.all(
      ["/", "/sign-in", "/no-such-page", "/healthz", "/style.css"].map((path) => browser.get(path)),
    );
    for (const { headers } of [...pages, await browser.post("/sign-out", {})]) {
      expect(headers.get("content-security-policy")).toMatch("default-src 'none'");
      expect(headers.get("content-security-policy")).toMatch("frame-ancestors 'none'");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("referrer-policy")).toBe("same-origin");
      expect(headers.has("x-powered-by")).toBe(false);
    }
    expect(pages[1]?.headers.get("cache-control")).toBe("no-store");
  });

  test("refuses bodies that are not small forms", async () => {
    const csrf = await browser.signInToken();
    const send = async (type: string, body: string) =>
      (await browser.request("/sign-in", { method: "POST", body, headers: { "content-type": type } })).status;
    const form = "application/x-www-form-urlencoded";

    expect(await send("application/json", JSON.stringify({ csrf, user: "ada", password: "lovelace" }))).toBe(
      415,
    );
    expect(await send("multipart/form-data; boundary=x", "--x--")).toBe(415);
    expect(await send(form, `csrf=${csrf}&user=${"a".repeat(5_000)}`)).toBe(413);
    expect(await send(form, `csrf=${csrf}&csrf=${csrf}`)).toBe(403);
    expect(await send(form, `csrf=${csrf}&user=ada&user=ada&password[length]=8`)).toBe(401);
    expect(await send(form, `csrf=${csrf}&user=__proto__&password=x&__proto__[user]=ada`)).toBe(401);
  });

  test("says 503 when NATS does not answer, and signs nobody out", async () => {
    await browser.signIn();
    const csrf = tokenOf(await browser.get("/"));
    const hasty = await startHasty(example, nc);
    const visitor = new Browser(hasty.url, browser.cookies);
    await server.pause();
    try {
      const pages = await Promise.all([
        visitor.get("/"),
        visitor.post("/sign-out", { csrf }),
        new Browser(hasty.url).get("/sign-in"),
      ]);
      for (const page of pages) expectUnavailable(page);
      expect(await visitor.get("/healthz")).toMatchObject({
        status: 503,
        text: '{"code":"ERR_SESSION_UNAVAILABLE"}',
      });
    } finally {
      await server.resume();
      await hasty.close();
    }
    expect(visitsOf(await browser.get("/"))).toBeGreaterThanOrEqual(2);
  });

  test("stays signed in when the NATS server is killed and comes back", async () => {
    await browser.signIn();
    expect(visitsOf(await browser.get("/"))).toBe(1);
    const hasty = await startHasty(example, nc);
    const visitor = new Browser(hasty.url, browser.cookies);
    await server.kill();
    try {
      expectUnavailable(await visitor.get("/"));
    } finally {
      await server.restart();
    }
    expect(visitsOf(await browser.get("/"))).toBe(2);
    await until("the hasty app to work again", async () => (visitsOf(await visitor.get("/")) ?? 0) > 2);
    await hasty.close();
  });

  test("says 503 when only writing fails", async () => {
    await browser.signIn();
    const failure = Object.assign(new Error("no answer"), { code: "ERR_SESSION_TIMEOUT" });
    const save = vi.spyOn(app.sessions, "save").mockRejectedValue(failure);
    expectUnavailable(await browser.get("/"));
    expectUnavailable(await new Browser(app.url).get("/sign-in"));
    expect(save).toHaveBeenCalled();
    save.mockRestore();
    expect(visitsOf(await browser.get("/"))).toBe(1);
  });

  async function liveIds(): Promise<string[]> {
    const handles: string[] = [];
    for await (const handle of app.sessions.handles()) handles.push(handle);
    return handles;
  }

  function sessionCookie(page: Page): string {
    return page.cookies.find((line) => line.startsWith(`${cookieName}=`)) ?? "";
  }
});

function expectUnavailable(page: Page): void {
  expect(page).toMatchObject({ status: 503, cookies: [] });
  expect(page.text).toContain("try again in a moment");
  expect(page.text).toMatch(/<\/html>\s*$/);
  expect(page.headers.get("retry-after")).toBe("5");
}

function expiryOf(cookie: string): number {
  return Date.parse(/; expires=([^;]+)/i.exec(cookie)?.[1] ?? "");
}
