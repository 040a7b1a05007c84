import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect as dial } from "node:net";
import { createInterface } from "node:readline";
import { afterEach, expect, test } from "vitest";

const parents: ChildProcess[] = [];

/** Runs a script in a process group of its own; it starts servers and prints them. */
async function parent(script: string): Promise<{ child: ChildProcess; servers: Started[] }> {
  const prelude = `import { startNatsServer } from "nats-dev-server";
    const print = (servers) => console.log(JSON.stringify(servers.map(({ port, dataDir }) => ({ port, dataDir }))));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", prelude + script], {
    cwd: import.meta.dirname,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  parents.push(child);
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return { child, servers: JSON.parse(line) };
}

interface Started {
  port: number;
  dataDir: string;
}

/** What is left of a server: its open port, its data. */
async function remains({ port, dataDir }: Started): Promise<string[]> {
  const socket = dial(port, "127.0.0.1");
  const open = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return [...(open ? ["port"] : []), ...(existsSync(dataDir) ? ["data"] : [])];
}

async function expectNothingLeft(servers: Started[]) {
  const all = async () => (await Promise.all(servers.map(remains))).flat();
  await expect.poll(all, { timeout: 60_000, interval: 20 }).toEqual([]);
}

const staysAlive = "setInterval(() => {}, 1000);";

afterEach(() => {
  for (const child of parents.splice(0)) child.kill("SIGKILL");
});

test("a parent that is killed takes its servers and their data with it, also paused and restarted ones", async () => {
  const { child, servers } = await parent(`
    const [plain, paused, restarted] = await Promise.all([1, 2, 3].map(() => startNatsServer()));
    await paused.pause();
    await restarted.kill();
    await restarted.restart();
    print([plain, paused, restarted]);
    ${staysAlive}
  `);
  expect(await remains(servers[0] as Started)).toEqual(["port", "data"]);
  child.kill("SIGKILL");
  await expectNothingLeft(servers);
});

test("Ctrl-C, a signal to the whole process group, leaves nothing behind", async () => {
  const { child, servers } = await parent(`print([await startNatsServer()]); ${staysAlive}`);
  process.kill(-(child.pid as number), "SIGINT");
  await once(child, "exit");
  await expectNothingLeft(servers);
});

test("a server that was killed and never stopped leaves no data behind", async () => {
  const { child, servers } = await parent(
    `const server = await startNatsServer(); await server.kill(); print([server]); ${staysAlive}`,
  );
  child.kill("SIGKILL");
  await expectNothingLeft(servers);
});

test("a started server does not keep its parent alive, and does not outlive it", async () => {
  const { child, servers } = await parent(`print([await startNatsServer()]);`);
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
  await expectNothingLeft(servers);
});

test("a parent with nothing else to do still waits for kill, restart and stop", async () => {
  const { child, servers } = await parent(`
    const server = await startNatsServer();
    await server.kill();
    await server.restart();
    await server.stop();
    print([server]);
  `);
  expect(await Promise.all(servers.map(remains))).toEqual([[]]);
  const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
  expect(code).toBe(0);
});
