// `npm run demo`: a NATS server and both login applications, until Ctrl-C.
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const dataDir = resolve(process.env.DEMO_DATA || join(folder, "../../.data"));
const runningFile = join(dataDir, "running.json");
const host = "127.0.0.1";

/** Resolves with the exit code when it is time to stop: at Ctrl-C, or when a part has ended by itself. */
const { promise: ending, resolve: end } = withResolvers();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end(0));

// npm hands SIGTERM to its shell only, which ends without telling anybody.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && end(0), 250).unref();
}

const children = [];
let server;
let isFrozen = false;
let code = 1;
try {
  code = await run();
} catch (error) {
  console.error(
    error.code === "ERR_MODULE_NOT_FOUND" ? "Not built yet: run `npm run setup` first." : error.message,
  );
} finally {
  if (isFrozen) await server.resume();
  await Promise.all(children.map(stopChild));
  if (server !== undefined) {
    await server.stop();
    await rm(runningFile, { force: true });
  }
}
process.exit(code);

async function run() {
  const { demoAccounts } = await import("./login-shared/dist/index.js");
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const secret = await sessionSecret();
  if (!process.env.NATS_URL) await refuseSecondRun();
  const ports = {
    express: await choosePort("EXPRESS_PORT", 3000),
    koa: await choosePort("KOA_PORT", 3001),
  };
  const natsUrl = process.env.NATS_URL || (await startServer());

  const starting = Promise.all([
    startApp("express-login", { PORT: ports.express, NATS_URL: natsUrl, SESSION_SECRET: secret }),
    startApp("koa-login", { PORT: ports.koa, NATS_URL: natsUrl, SESSION_SECRET: secret }),
  ]);
  const urls = await Promise.race([starting, ending]);
  if (!Array.isArray(urls)) return urls;

  if (server !== undefined) await writeFile(runningFile, JSON.stringify({ pid: process.pid, url: urls[0] }));
  const place = relative("", dataDir);
  const keeper = server
    ? `nats-server ${server.version}, in ${place.startsWith("..") ? dataDir : place}`
    : "the server of NATS_URL";
  console.log(`
  Express   ${urls[0]}
  Koa       ${urls[1]}

  Sign in as ${demoAccounts.map(({ id, password }) => `${id} / ${password}`).join(" or ")}.
  Sessions are kept by ${keeper}. They outlive a restart.
${server ? "  Enter freezes NATS, to see what visitors see then; Enter again lets it go on.\n" : ""}  In another terminal:
${commands(natsUrl)}
  Ctrl-C stops everything.
`);
  if (server !== undefined) process.stdin.on("data", toggleOutage);
  return ending;
}

/** Three things to try; the address of another server may hold a password, and is in a variable that they read. */
function commands(natsUrl) {
  const program = relative("", join(folder, "../../packages/cli/dist/main.js"));
  const at = server ? ` --server ${natsUrl}` : "";
  const all = ["list --user ada", "watch", "end --user ada"];
  return all.map((command) => `    node ${program} ${command}${at}\n`).join("");
}

async function startServer() {
  const { startNatsServer } = await import("../../packages/dev-server/dist/index.js");
  server = await startNatsServer({ dataDir: join(dataDir, "nats") });
  setInterval(() => {
    if (!server.running) fail("nats-server has ended; stopping the applications.");
  }, 500).unref();
  return server.url;
}

/** Freezes the server, or lets it go on. */
async function toggleOutage() {
  isFrozen = !isFrozen;
  await (isFrozen ? server.pause() : server.resume());
  console.log(
    isFrozen ? "  NATS is frozen: pages say so within two seconds. Nobody is signed out." : "  NATS goes on.",
  );
}

/** Two servers on one data directory would spoil it. */
async function refuseSecondRun() {
  let running;
  try {
    running = JSON.parse(await readFile(runningFile, "utf8"));
    process.kill(running.pid, 0);
    await fetch(`${running.url}/healthz`, { signal: AbortSignal.timeout(5_000) });
  } catch (error) {
    // Who takes the connection and does not answer is busy, not gone.
    if (error.name !== "TimeoutError") return;
  }
  throw new Error(`The demo is running already: ${running.url}. Set DEMO_DATA for another one beside it.`);
}

/** Starts an application and resolves with its address. It stops by itself when this process goes away. */
async function startApp(name, env) {
  const child = fork(join(folder, name, "dist", "main.js"), {
    // A process group of its own: on Ctrl-C this process decides in which order things end.
    detached: process.platform !== "win32",
    env: { ...process.env, NODE_ENV: "development", HOST: host, ...env },
    // The server of the demo is the one that npm has, which is not what to use in production.
    execArgv: server ? ["--disable-warning=NATS_SESSION_SERVER_FAULT"] : [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  children.push(child);
  child.on("exit", (code, signal) => fail(`${name} has ended (${signal ?? `exit code ${code}`}); stopping.`));
  const [{ url }] = await once(child, "message");
  return url;
}

async function stopChild(child) {
  child.removeAllListeners("exit");
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const late = new AbortController();
  await Promise.race([exit, sleep(12_000, undefined, late).catch(() => {})]);
  late.abort();
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGKILL");
    await exit;
  }
}

/** The port that the variable asks for, else the usual one or the next that is free. */
async function choosePort(variable, usual) {
  const wanted = process.env[variable];
  if (wanted) {
    if (!/^\d{1,5}$/.test(wanted) || Number(wanted) > 65_535) {
      throw new Error(`Expected ${variable} to be a number from 0 to 65535, got ${wanted}`);
    }
    if (await isFree(Number(wanted))) return wanted;
    throw new Error(`Port ${wanted} is taken. Set ${variable} to another one.`);
  }
  for (let port = usual; port < usual + 100; port += 2) {
    if (!(await isFree(port))) continue;
    if (port !== usual)
      console.log(`Port ${usual} is taken, using ${port}. (${variable} chooses another one.)`);
    return String(port);
  }
  throw new Error(`No free port from ${usual} on. Set ${variable}.`);
}

async function isFree(port) {
  const probe = createServer().listen(port, host);
  try {
    await once(probe, "listening");
    probe.close();
    await once(probe, "close");
    return true;
  } catch {
    return false;
  }
}

/** Signs the cookies; kept, so that they hold after a restart. */
async function sessionSecret() {
  const file = join(dataDir, "session-secret");
  const secret = randomBytes(32).toString("base64url");
  try {
    await writeFile(file, `${secret}\n`, { flag: "wx", mode: 0o600 });
    return secret;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return (await readFile(file, "utf8")).trim();
  }
}

function fail(message) {
  console.error(message);
  end(1);
}

function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
