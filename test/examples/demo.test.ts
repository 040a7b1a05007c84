import { type ChildProcess, exec, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Browser, visitsOf } from "./browser.js";
import { descendantsOf, isAlive, type RunningProcess } from "./processes.js";

const demoScript = fileURLToPath(new URL("../../examples/demo/main.mjs", import.meta.url));
let dataDir: string;
let demos: ChildProcess[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "demo-test-"));
  demos = [];
});

afterEach(async () => {
  for (const demo of demos) demo.kill("SIGKILL");
  await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
});

interface Demo {
  process: ChildProcess;
  urls: [express: string, koa: string];
  output(): string;
}

function spawnDemo(env: NodeJS.ProcessEnv = {}): ChildProcess & { text: string } {
  const { NATS_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [demoScript], {
    env: { ...inherited, DEMO_DATA: dataDir, EXPRESS_PORT: "0", KOA_PORT: "0", ...env },
    stdio: "pipe",
  });
  const demo = Object.assign(child, { text: "" });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      demo.text += text;
    });
  }
  demos.push(demo);
  return demo;
}

async function startDemo(env?: NodeJS.ProcessEnv): Promise<Demo> {
  const demo = spawnDemo(env);
  const address = (name: string) => new RegExp(`${name} +(http://\\S+)`).exec(demo.text)?.[1];
  await vi.waitFor(
    () => {
      if (demo.exitCode !== null) throw new Error(demo.text);
      expect(demo.text).toContain("Ctrl-C stops everything");
    },
    { timeout: 90_000, interval: 50 },
  );
  return {
    process: demo,
    urls: [address("Express") ?? "", address("Koa") ?? ""],
    output: () => demo.text,
  };
}

async function stopDemo(demo: Demo, signal: NodeJS.Signals): Promise<number | null> {
  const exit = once(demo.process, "exit");
  demo.process.kill(signal);
  const [code] = await exit;
  return code;
}

test("everything stops and starts again, and whoever signed in still is", { timeout: 240_000 }, async () => {
  const first = await startDemo();
  expect(first.output()).toContain("ada / lovelace");
  const browsers = first.urls.map((url) => new Browser(url));
  for (const browser of browsers) {
    expect((await browser.signIn()).status).toBe(303);
    expect(visitsOf(await browser.get("/"))).toBe(1);
    expect(visitsOf(await browser.get("/"))).toBe(2);
  }

  const [list, watch, end] = first.output().match(/node \S+ (?:list|watch|end) .*/g) ?? [];
  expect([list, watch, end]).not.toContain(undefined);
  const { stdout } = await promisify(exec)(`${list} --format count`);
  expect(Number(stdout)).toBe(2);

  const processes = await descendantsOf(first.process.pid);
  expect(processes.length).toBeGreaterThanOrEqual(3);
  expect(await stopDemo(first, "SIGINT")).toBe(0);
  await expectGone(processes);

  const second = await startDemo();
  for (const [index, url] of second.urls.entries()) {
    const returned = new Browser(url, browsers[index]?.cookies);
    expect(visitsOf(await returned.get("/"))).toBe(3);
  }
  expect(await stopDemo(second, "SIGTERM")).toBe(0);

  const secretFile = join(dataDir, "session-secret");
  expect((await stat(secretFile)).mode & 0o777).toBe(0o600);
  expect(first.output() + second.output()).not.toContain((await readFile(secretFile, "utf8")).trim());
});

test("Enter freezes the server and lets it go on, and a frozen one can be stopped", {
  timeout: 240_000,
}, async () => {
  const demo = await startDemo();
  const [browser] = demo.urls.map((url) => new Browser(url)) as [Browser, Browser];
  await browser.signIn();
  demo.process.stdin?.write("\n");
  await vi.waitFor(() => expect(demo.output()).toContain("NATS is frozen"), 20_000);
  expect((await browser.get("/")).status).toBe(503);
  demo.process.stdin?.write("\n");
  await vi.waitFor(() => expect(demo.output()).toContain("NATS goes on"), 20_000);
  await vi.waitFor(async () => expect((await browser.get("/")).status).toBe(200), 20_000);

  const processes = await descendantsOf(demo.process.pid);
  demo.process.stdin?.write("\n");
  await vi.waitFor(() => expect(demo.output()).toMatch(/frozen[\s\S]*frozen/), 20_000);
  expect(await stopDemo(demo, "SIGINT")).toBe(0);
  await expectGone(processes);
});

test("nothing outlives a demo that is killed, and its data can be used again", {
  timeout: 240_000,
}, async () => {
  const killed = await startDemo();
  const browser = new Browser(killed.urls[0]);
  await browser.signIn();
  const processes = await descendantsOf(killed.process.pid);
  await stopDemo(killed, "SIGKILL");
  await expectGone(processes);

  const next = await startDemo();
  expect(visitsOf(await new Browser(next.urls[0], browser.cookies).get("/"))).toBe(1);
  await stopDemo(next, "SIGINT");
});

test("an application that dies ends the demo with an error", { timeout: 180_000 }, async () => {
  const demo = await startDemo();
  const processes = await descendantsOf(demo.process.pid);
  const koa = processes.find(({ command }) => command.includes("koa-login"));
  const closed = once(demo.process, "close");
  process.kill(koa?.pid ?? 0, "SIGKILL");
  expect(await closed).toEqual([1, null]);
  expect(demo.output()).toContain("koa-login has ended (SIGKILL)");
  await expectGone(processes);
});

test("a second demo on the same data, or on a port that is taken, is refused", {
  timeout: 180_000,
}, async () => {
  const demo = await startDemo();
  const { port } = new URL(demo.urls[0]);
  for (const [env, message] of [
    [{}, "running already"],
    [{ DEMO_DATA: join(dataDir, "other"), EXPRESS_PORT: port }, `Port ${port} is taken`],
    [{ DEMO_DATA: join(dataDir, "other"), KOA_PORT: "many" }, "Expected KOA_PORT"],
  ] as const) {
    const refused = spawnDemo(env);
    expect(await once(refused, "close")).toEqual([1, null]);
    expect(refused.text).toContain(message);
  }
  await stopDemo(demo, "SIGINT");
});

async function expectGone(processes: RunningProcess[]): Promise<void> {
  const check = async () => {
    for (const { pid, command } of processes) expect(await isAlive(pid), command).toBe(false);
  };
  await vi.waitFor(check, { timeout: 40_000, interval: 50 });
}
