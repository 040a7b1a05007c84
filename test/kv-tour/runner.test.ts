import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { steps } from "example-kv-tour";
import { debianNatsServer } from "nats-dev-server";
import { afterEach, expect, inject, test, vi } from "vitest";
import { descendantsOf, isAlive } from "../examples/processes.js";
import { until } from "../support/wait.js";

const main = fileURLToPath(new URL("../../examples/kv-tour/dist/main.js", import.meta.url));
const tours: ChildProcess[] = [];

// Each starts a process and a server.
vi.setConfig({ testTimeout: 120_000 });

afterEach(() => {
  for (const tour of tours.splice(0)) tour.kill("SIGKILL");
});

interface Output {
  stdout: string;
  stderr: string;
}

function start(names: string[], env: NodeJS.ProcessEnv = {}): [tour: ChildProcess, output: Output] {
  const tour = spawn(process.execPath, [main, ...names], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  tours.push(tour);
  const output: Output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    tour[stream]?.setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  return [tour, output];
}

async function take(names: string[], env?: NodeJS.ProcessEnv): Promise<Output & { code: number | null }> {
  const [tour, output] = start(names, env);
  const [code] = await once(tour, "close");
  return { ...output, code };
}

const inOrder = [
  "bucket",
  "crud",
  "history",
  "revisions",
  "watch",
  "ttl",
  "config",
  "flags",
  "discovery",
  "locks",
  "sessions",
  "compare",
];

test("the tour has twelve steps, each with a title", () => {
  expect(Object.keys(steps)).toEqual(inOrder);
  for (const { title } of Object.values(steps)) expect(title).toMatch(/^\S.{5,}\S$/);
});

test("the steps that are named are run in the order of the tour, each under its heading", async () => {
  const { code, stdout, stderr } = await take(["revisions", "crud"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^nats-server \S+ at nats:\/\/127\.0\.0\.1:\d+/);
  expect([...stdout.matchAll(/^\d\/\d \w+: .*$/gm)].map(([line]) => line)).toEqual([
    `1/2 crud: ${steps.crud?.title}`,
    `2/2 revisions: ${steps.revisions?.title}`,
  ]);
  expect(stdout).toContain('\n  get user.ada: {"name":"Ada","city":"London"}\n');
});

test("a name that is no step ends the tour at once, with all names", async () => {
  const { code, stdout, stderr } = await take(["watch", "wach"]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toBe(`No such step: wach. The steps are: ${inOrder.join(", ")}\n`);
});

test("a server that cannot be started is an error that says why", async () => {
  const { code, stderr } = await take(["crud"], { NATS_SERVER_BIN: "/nowhere/nats-server" });
  expect(code).toBe(1);
  expect(stderr).toContain("The tour cannot start: NATS_SERVER_BIN names /nowhere/nats-server");
});

test.each(inject("oldServer") === undefined ? [] : ["ttl"])(
  "a step that fails ends the tour: %s",
  async (name) => {
    const { path } = await debianNatsServer("bookworm");
    const { code, stderr } = await take([name, "compare"], { NATS_SERVER_BIN: path });
    expect(code).toBe(1);
    expect(stderr).toContain("The step ttl has failed: A TTL for a key needs nats-server 2.11 or later");
  },
);

test("a server that dies ends the tour with an error", async () => {
  const [tour, output] = start(["ttl", "discovery"]);
  await until("the step has begun", () => output.stdout.includes("code, TTL 2 s"), 60_000);
  const server = (await descendantsOf(tour.pid)).find(({ command }) => command.includes("nats-server"));
  const closed = once(tour, "close");
  process.kill(server?.pid ?? 0, "SIGKILL");
  expect(await closed).toEqual([1, null]);
  expect(output.stderr).toContain("The step ttl has failed: nats-server has ended");
});

test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
  "nothing outlives a tour that gets %s",
  async (signal) => {
    const [tour, output] = start(["ttl", "discovery"]);
    await until("the step has begun", () => output.stdout.includes("code, TTL 2 s"), 60_000);
    const processes = await descendantsOf(tour.pid);
    expect(processes.some(({ command }) => command.includes("nats-server"))).toBe(true);
    const closed = once(tour, "close");
    tour.kill(signal);
    expect(await closed).toEqual(signal === "SIGKILL" ? [null, "SIGKILL"] : [0, null]);
    for (const { pid, command } of processes)
      await until(`${command} has ended`, async () => !(await isAlive(pid)));
    expect(output.stderr).toBe("");
  },
);

test("Ctrl-C ends the processes that a step has started too, even a frozen one", async () => {
  const [tour, output] = start(["locks"]);
  await until("a process is frozen", () => output.stdout.includes("is frozen"), 60_000);
  const processes = await descendantsOf(tour.pid);
  expect(processes.filter(({ command }) => command.includes("workers/lock.js")).length).toBeGreaterThan(0);
  const closed = once(tour, "close");
  tour.kill("SIGINT");
  expect(await closed).toEqual([0, null]);
  for (const { pid, command } of processes) {
    await until(`${command} has ended`, async () => !(await isAlive(pid)));
  }
});
