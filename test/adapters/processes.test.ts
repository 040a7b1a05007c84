import { fileURLToPath } from "node:url";
import { startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { Browser } from "../examples/browser.js";
import { runNode } from "../support/run-program.js";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { AppProcess, type Task } from "./support/app-process.js";

const programOf = (name: string) => fileURLToPath(new URL(`programs/${name}.mjs`, import.meta.url));

describe.each(["express", "koa"])("two processes of one %s application", (framework) => {
  let one: AppProcess;
  let two: AppProcess;

  beforeAll(async () => {
    const bucket = newBucket();
    const start = () => AppProcess.start(programOf(framework), inject("currentServer"), bucket);
    [one, two] = await Promise.all([start(), start()]);
  });
  afterAll(async () => {
    expect(await Promise.all([one?.stop(), two?.stop()])).toEqual([0, 0]);
  });

  /** A request of the browser to either process. @returns the session as it was loaded */
  async function ask(process: AppProcess, browser: Browser, task: Task = {}): Promise<unknown> {
    const url = new URL(process.url);
    url.searchParams.set("task", JSON.stringify(task));
    const page = await browser.get(url.href);
    expect(page.status).toBe(200);
    return JSON.parse(page.text);
  }

  async function signedIn(data: Record<string, unknown> = {}): Promise<Browser> {
    const browser = new Browser(one.url);
    await ask(one, browser, { set: { user: "ada", ...data } });
    return browser;
  }

  /** As many requests at the same moment, alternately to both; none goes on before all have loaded the session. */
  async function together(browser: Browser, count: number, task: (n: number) => Task): Promise<void> {
    const asked = Array.from({ length: count }, (_, n) => ({ n, process: n % 2 === 0 ? one : two }));
    const name = (n: number) => `${browser.cookie} ${n}`;
    const answers = asked.map(({ n, process }) => ask(process, browser, { wait: name(n), ...task(n) }));
    await Promise.all(asked.map(({ n, process }) => process.waitsAt(name(n))));
    for (const { n, process } of asked) process.go(name(n));
    await Promise.all(answers);
  }

  test("keep every key of ten requests at the same moment, and add counts up", async () => {
    const browser = await signedIn({ count: 0 });
    await together(browser, 10, (n) => ({ set: { [`key${n}`]: n }, count: 1 }));
    const keys = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`key${n}`, n]));
    for (const process of [one, two]) {
      expect(await ask(process, browser)).toEqual({ user: "ada", count: 10, ...keys });
    }
  });

  test.each<[string, Task]>([
    ["changes the session", { set: { a: 2 } }],
    ["only reads and renews it", {}],
  ])("hold a sign-out at one although a request at the other is under way that %s", async (what, task) => {
    const browser = await signedIn({ a: 1 });
    const old = browser.copy();
    const before = one.gone.length;
    const slow = ask(one, browser.copy(), { wait: what, ...task });
    await one.waitsAt(what);
    await ask(two, browser, { signOut: true });
    one.go(what);
    expect(await slow).toEqual({ user: "ada", a: 1 });
    await until("the event", () => one.gone.length > before);
    expect(one.gone.slice(before)).toMatchObject([{ handle: expect.stringMatching(/^[\w-]{43}$/) }]);
    expect(two.gone).toEqual([]);
    for (const process of [one, two]) expect(await ask(process, old.copy())).toEqual({});
  });
});

describe("an application's process", { concurrent: true }, () => {
  const run = (name: string, ...args: string[]) =>
    runNode([programOf(name), ...args], { NODE_ENV: "production" });
  const METHODS = ["get", "set", "touch", "all", "length", "destroy", "clear"];

  test("gets the error of a throwing callback as an uncaught exception, once for each call", async () => {
    const { stdout, stderr } = await run("throwing-callbacks", inject("currentServer"), newBucket());
    expect(stderr).toBe("");
    const calls = METHODS.flatMap((method) => [`${method} on an open store`, `${method} on a closed store`]);
    expect(JSON.parse(stdout)).toEqual({
      calls: Object.fromEntries(calls.map((call) => [call, 1])),
      uncaught: [
        ...METHODS.map((method) => `${method} on an open store: done`),
        ...METHODS.map((method) => `${method} on a closed store: ERR_SESSION_CLOSED`),
      ],
      unhandled: [],
    });
  });

  test("ends at the error of a throwing callback as at any other uncaught exception", async () => {
    const { code, stderr } = await run("unheard-callback", inject("currentServer"), newBucket());
    expect(code).toBe(1);
    expect(stderr).toContain("Error: a mistake of the application");
    expect(stderr).not.toContain("SessionStoreError");
    expect(stderr).not.toContain("nhandled");
  });

  test("pays for knowing that a session could not be loaded only until that request is over", async () => {
    const args = ["--expose-gc", programOf("failed-load"), inject("currentServer"), newBucket()];
    const { stdout, stderr } = await runNode(args, { NODE_ENV: "production" });
    expect(stderr).toBe("");
    const { answers, followed } = JSON.parse(stdout);
    expect(answers).toEqual(["1", "ERR_SESSION_UNAVAILABLE", "2"]);
    // From Node 24 on it follows no promise for this.
    const within = Number.parseInt(process.versions.node, 10) < 24;
    expect(followed).toEqual({ before: false, within, after: false });
  });

  test("ends by itself and prints nothing, whatever happens to its stores", async () => {
    const down = await startNatsServer();
    await down.stop();
    const outcome = await run("quiet-apps", inject("currentServer"), down.url);
    expect(outcome).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});
