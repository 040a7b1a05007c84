import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Browser, visitsOf } from "../../examples/browser.js";
import { BadNetwork } from "../../support/bad-network.js";
import { until } from "../../support/wait.js";
import { rounds } from "../support/expectations.js";

const { resolve } = createRequire(import.meta.url);

/** How long a process may take to end, in ms: what keeps it alive keeps it for good. */
const ENDS = 15_000;

describe.each(["express-login", "koa-login"])("%s as a process", (name) => {
  let server: NatsServer;
  let network: BadNetwork;
  let running: App[];

  beforeEach(async () => {
    server = await startNatsServer();
    network = await BadNetwork.start(server.port);
    running = [];
  });
  afterEach(async () => {
    await Promise.all(running.map((app) => app.end()));
    await network.close();
    await server.stop();
  });

  async function start(): Promise<App> {
    const app = await App.start(name, network.url);
    running.push(app);
    return app;
  }

  async function signedIn(app: App, count: number): Promise<Browser[]> {
    const browsers = Array.from({ length: count }, () => new Browser(app.url));
    await Promise.all(browsers.map((browser) => browser.signIn()));
    for (const browser of browsers) expect(visitsOf(await browser.get("/"))).toBe(1);
    return browsers;
  }

  const messages = async () => {
    const response = await fetch(`${server.monitorUrl}/varz`);
    return ((await response.json()) as { in_msgs: number }).in_msgs;
  };

  it("answers the requests in flight, stores their saves and ends when it is told to stop", async () => {
    const first = await start();
    const browsers = await signedIn(first, 8);
    network.delay(300);
    const before = await messages();
    const answers = browsers.map((browser) => browser.get("/"));
    await until("the loads of all requests", async () => (await messages()) >= before + browsers.length);
    first.child.kill("SIGTERM");
    for (const answer of answers) expect(visitsOf(await answer)).toBe(2);
    expect(await first.end()).toEqual({ code: 0, signal: null, errors: "" });

    network.mend();
    const second = await start();
    for (const { cookies } of browsers) {
      expect(visitsOf(await new Browser(second.url, cookies).get("/"))).toBe(3);
    }
    second.child.kill("SIGTERM");
    expect(await second.end()).toEqual({ code: 0, signal: null, errors: "" });
  });

  it("answers 503 while nats-server is down, signs no visitor out and loses no visit that it showed", async () => {
    const app = await start();
    const browsers = await signedIn(app, 4);
    let going = true;
    const shown = browsers.map(() => 1);
    const answers: Record<string, number> = {};
    const visiting = browsers.map(async (browser, n) => {
      while (going) {
        const page = await browser.get("/");
        answers[page.status] = (answers[page.status] ?? 0) + 1;
        if (page.status === 503) {
          expect(page).toMatchObject({ cookies: [] });
          expect(page.headers.get("retry-after")).toBe("5");
          continue;
        }
        // A sign-out would be a redirect to the sign-in page.
        expect(page.status).toBe(200);
        const visits = visitsOf(page) as number;
        expect(visits).toBeGreaterThan(shown[n] as number);
        shown[n] = visits;
      }
    });
    const more = async (status: number, times = 8) => {
      const count = answers[status] ?? 0;
      const enough = () => (answers[status] ?? 0) >= count + times;
      await Promise.race([until(`answers with status ${status}`, enough, 40_000), Promise.all(visiting)]);
    };
    for (let round = 0; round < rounds(1, 2); round++) {
      await more(200);
      await server.kill();
      await more(503);
      await server.restart();
      await more(200);
    }
    going = false;
    await Promise.all(visiting);
    app.child.kill("SIGTERM");
    const { code, signal, errors } = await app.end();
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(errors).toContain("ERR_SESSION_UNAVAILABLE");
    expect(errors).not.toMatch(/unhandled|uncaught/i);
  });
});

/** An example application. */
class App {
  errors = "";
  readonly #exit: Promise<unknown[]>;

  private constructor(
    readonly child: ChildProcess,
    readonly url: string,
  ) {
    this.#exit = once(child, "close");
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
  }

  static async start(name: string, servers: string): Promise<App> {
    const child = fork(join(dirname(resolve(`example-${name}`)), "main.js"), {
      env: { ...process.env, NODE_ENV: "test", PORT: "0", NATS_URL: servers, SESSION_SECRET: "of the tests" },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    const ended = once(child, "exit").then(() =>
      Promise.reject(new Error(`${name} ended before it listened`)),
    );
    ended.catch(() => {});
    const [{ url }] = (await Promise.race([once(child, "message"), ended])) as [{ url: string }];
    return new App(child, url);
  }

  /** How it ended; one that does not is killed. */
  async end(): Promise<{ code: unknown; signal: unknown; errors: string }> {
    const late = setTimeout(() => this.child.kill("SIGKILL"), ENDS);
    const [code, signal] = await this.#exit;
    clearTimeout(late);
    return { code, signal, errors: this.errors };
  }
}
