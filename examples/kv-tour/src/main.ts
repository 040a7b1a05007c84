// `npm run tour`: starts a server of its own and runs the steps of the tour, or those that are named.
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { steps } from "./steps/index.js";
import type { Tour } from "./tour.js";

const names = process.argv.slice(2);
const unknown = names.filter((name) => !Object.hasOwn(steps, name));
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(", ")}. The steps are: ${Object.keys(steps).join(", ")}`);
  process.exit(1);
}

let server: NatsServer | undefined;
let nc: NatsConnection | undefined;
let current: string | undefined;
let restarting = false;
let stopping = false;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void stop(0));

// npm hands SIGTERM to its shell only, which ends without telling anybody.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && void stop(0), 250).unref();
}

try {
  server = await startNatsServer();
  nc = await connect({
    servers: server.url,
    name: "kv-tour",
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
  console.log(`nats-server ${server.version} at ${server.url}, its data in a temporary directory`);
  await takeTour(server, nc);
  await stop(0);
} catch (error) {
  await fail(error instanceof Error ? error.message : String(error));
}

async function takeTour(server: NatsServer, nc: NatsConnection): Promise<void> {
  const watchdog = setInterval(() => {
    if (!restarting && !server.running) void fail("nats-server has ended");
  }, 250);
  watchdog.unref();

  const tour: Tour = {
    nc,
    servers: server.url,
    say: (text) => console.log(`  ${text}`.trimEnd()),
    async restartServer() {
      restarting = true;
      await server.restart();
      restarting = false;
    },
  };
  const chosen = Object.entries(steps).filter(([name]) => names.length === 0 || names.includes(name));
  for (const [index, [name, step]] of chosen.entries()) {
    current = name;
    console.log(`\n${index + 1}/${chosen.length} ${name}: ${step.title}\n`);
    await step.run(tour);
  }
}

async function fail(message: string): Promise<void> {
  if (stopping) return;
  console.error(
    current === undefined
      ? `The tour cannot start: ${message}`
      : `\nThe step ${current} has failed: ${message}`,
  );
  await stop(1);
}

/** Ends what was started; the server's temporary data goes with it. */
async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  await nc?.close().catch(() => {});
  await server?.stop().catch(() => {});
  process.exit(code);
}
