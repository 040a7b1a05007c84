import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/wait.js";
import { Browser, tokenOf, visitsOf } from "./browser.js";
import { isSignedIn } from "./device-list.js";
import { EventStream } from "./event-stream.js";

const { resolve } = createRequire(import.meta.url);
let server: NatsServer;

beforeAll(async () => {
  server = await startNatsServer();
});

afterAll(() => server?.stop());

describe.each(["express-login", "koa-login"])("%s as a process", { timeout: 120_000 }, (name) => {
  const script = join(dirname(resolve(`example-${name}`)), "main.js");

  function run(env: NodeJS.ProcessEnv): ChildProcess & { errors: string } {
    const child = fork(script, {
      env: { ...process.env, NODE_ENV: "test", PORT: "0", ...env },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    const running = Object.assign(child, { errors: "" });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      running.errors += text;
    });
    return running;
  }

  test.each([
    { env: { PORT: "http" }, message: "Expected PORT to be a number from 0 to 65535, got http" },
    { env: { PORT: "70000" }, message: "Expected PORT" },
    { env: { NODE_ENV: "production", SESSION_SECRET: "" }, message: "Expected SESSION_SECRET to be set" },
    {
      env: { MAX_SESSIONS_PER_USER: "none" },
      message: "Expected MAX_SESSIONS_PER_USER to be a whole number",
    },
    { env: { NATS_URL: "nats://127.0.0.1:1" }, message: "did not start" },
  ])("says in one line why it does not start with $env", async ({ env, message }) => {
    const app = run(env);
    expect(await once(app, "close")).toEqual([1, null]);
    expect(app.errors).toContain(message);
    expect(app.errors).not.toMatch(/^ +at /m);
  });

  test("finishes the request under way when it is told to stop, and goes on later", async () => {
    const env = { NATS_URL: server.url, SESSION_SECRET: "kept by the test" };
    const first = run(env);
    const [{ url }] = await once(first, "message");
    const browser = new Browser(url);
    await browser.signIn();
    expect(visitsOf(await browser.get("/"))).toBe(1);
    const before = browser.copy();
    // Gives the session another id, and has no password to check, which takes long on a busy machine.
    const form = new URLSearchParams({ csrf: tokenOf(await browser.get("/devices")) }).toString();
    const request = httpRequest(`${url}/devices/end-others`, {
      method: "POST",
      headers: {
        cookie: browser.cookie,
        "content-type": "application/x-www-form-urlencoded",
        "content-length": form.length,
        expect: "100-continue",
      },
    });
    request.flushHeaders();
    await once(request, "continue");
    const exit = once(first, "exit");
    first.kill("SIGTERM");
    await until("the application to take no new requests", () =>
      fetch(`${url}/healthz`).then(
        () => false,
        () => true,
      ),
    );
    request.end(form);
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    expect(answer.statusCode).toBe(303);
    for (const line of answer.headers["set-cookie"] ?? []) browser.keep(line);
    answer.resume();
    expect(await exit).toEqual([0, null]);

    const second = run(env);
    const [{ url: secondUrl }] = await once(second, "message");
    expect(visitsOf(await new Browser(secondUrl, browser.cookies).get("/"))).toBe(2);
    expect(await isSignedIn(new Browser(secondUrl, before.cookies))).toBe(false);
    const secondExit = once(second, "exit");
    second.disconnect();
    expect(await secondExit).toEqual([0, null]);
  });

  test("ends the streams of open pages when it is told to stop", async () => {
    const app = run({ NATS_URL: server.url, SESSION_SECRET: "kept by the test" });
    const [{ url }] = await once(app, "message");
    const browser = new Browser(url);
    await browser.signIn();
    const stream = await EventStream.open(browser);
    const exit = once(app, "exit");
    app.kill("SIGTERM");
    expect(await exit).toEqual([0, null]);
    await until("the stream to end", () => stream.end !== "open");
    expect(stream.end).toBe("complete");
  });

  test("ends the oldest session of a person who has as many as they may", async () => {
    const env = { NATS_URL: server.url, SESSION_SECRET: "kept by the test", MAX_SESSIONS_PER_USER: "2" };
    const app = run(env);
    const [{ url }] = await once(app, "message");
    const browsers = [new Browser(url), new Browser(url), new Browser(url)];
    for (const browser of browsers) await browser.signIn();
    const signedIn = await Promise.all(browsers.map(isSignedIn));
    expect(signedIn).toEqual([false, true, true]);
    const exit = once(app, "exit");
    app.kill("SIGTERM");
    await exit;
  });
});
