import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Nodes } from "../support/nodes.js";

let nodes: Nodes;

beforeAll(async () => {
  nodes = await Nodes.start();
});
afterAll(() => nodes.close());

it("check names the leader, rejects while there is none, and resolves when there is one again", async () => {
  const { servers, urls } = nodes.cluster;
  const bucket = newBucket();
  const nc = await connect({ servers: urls[0] as string, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const store = new SessionStore(nc, { bucket, replicas: 3, timeout: 20_000 });
  onTestFinished(async () => {
    await store.close();
    await nc.close();
  });
  const { leader } = await store.check();
  expect(leader).toMatch(/^n[123]$/);
  const others = servers.slice(1);
  await Promise.all(others.map((server) => server.pause()));
  try {
    await until("the server that is left to know that it has no majority", async () => {
      const failed = await store.check({ timeout: 1000 }).catch((error: { code: string }) => error.code);
      return failed === "ERR_SESSION_UNAVAILABLE";
    });
    await expect(store.check({ timeout: 1000 })).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
  } finally {
    await Promise.all(others.map((server) => server.resume()));
  }
  await until("a leader", async () => {
    const found = await store.check().catch(() => undefined);
    return found !== undefined && found.leader !== "";
  });
});
