import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import type { TestContext } from "vitest";
import { type Connection, clients } from "../../support/variants.js";
import type { Answer } from "./visitor.js";

/** An answer that took longer, in ms, was not bounded by `timeout`: outages last until the answers are there. */
export const HANGS = 20_000;

/** Where a test says what is to be undone after it, latest first. */
export type Defer = TestContext["onTestFinished"];

/** A server of the test's own, whose data outlast it. */
export async function startServer(defer: Defer): Promise<NatsServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "sessions-http-"));
  defer(() => rm(dataDir, { recursive: true, force: true }));
  const server = await startNatsServer({ dataDir });
  defer(() => server.stop());
  return server;
}

/** A connection to it, which is closed after the test. */
export async function connectTo(
  server: NatsServer,
  defer: Defer,
  client = "@nats-io/transport-node 3",
): Promise<Connection> {
  const connect = clients[client];
  if (!connect) throw new Error(`No client ${client}`);
  const nc = await connect({ servers: server.url });
  defer(() => nc.close());
  return nc;
}

/** An answer, and how long it took in ms. */
export async function timed(visit: Promise<Answer>): Promise<Answer & { ms: number }> {
  const start = performance.now();
  const answer = await visit;
  return { ...answer, ms: performance.now() - start };
}
