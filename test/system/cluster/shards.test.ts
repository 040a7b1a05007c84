import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { newBucket } from "../../support/variants.js";
import { Nodes } from "../support/nodes.js";

const SHARDS = 9;

let nodes: Nodes;

beforeAll(async () => {
  nodes = await Nodes.start();
});
afterAll(() => nodes.close());

it("each of several buckets goes on when its leader is gone, and no session is lost", async () => {
  const { servers, urls } = nodes.cluster;
  const bucket = newBucket();
  const nc = await connect({ servers: urls, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const store = new SessionStore<{ n: number }>(nc, { bucket, shards: SHARDS, replicas: 3, timeout: 30_000 });
  onTestFinished(async () => {
    await store.close();
    await nc.close();
  });
  const ids = Array.from({ length: 60 }, (_, n) => `id ${n}`);
  for (const [n, id] of ids.entries()) await store.save(id, { n });

  const { streams } = await jetstreamManager(nc);
  const leaders: string[] = [];
  for (let shard = 0; shard < SHARDS; shard++) {
    leaders.push((await streams.info(`KV_${bucket}_${shard}`)).cluster?.leader ?? "");
  }
  // The servers share the leaders among themselves. The one that the client is connected to stays.
  const others = ["n1", "n2", "n3"].filter((name) => name !== nc.info?.server_name);
  const away = others.find((name) => leaders.includes(name)) ?? others[0];
  const server = servers[Number(away?.slice(1)) - 1];
  if (!server) throw new Error(`There is no server ${away}`);

  await server.kill();
  const write = async (id: string) => {
    const record = await store.load(id);
    if (!record) throw new Error("A session is missing");
    expect((await store.save(id, { n: record.data.n + 1 }, { record })).outcome).toBe("saved");
  };
  await Promise.all(ids.map(write));
  await server.restart();
  for (const [n, id] of ids.entries()) expect((await store.load(id))?.data).toEqual({ n: n + 1 });
});
