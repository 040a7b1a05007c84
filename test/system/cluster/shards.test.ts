import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { answered } from "../../support/answered.js";
import { warm } from "../../support/cached.js";
import { idsIn } from "../../support/shards.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Nodes } from "../support/nodes.js";

const SHARDS = 9;

let nodes: Nodes;

beforeAll(async () => {
  nodes = await Nodes.start();
});
afterAll(() => nodes.close());

it("each of several buckets goes on when its leader is gone, no session is lost, and no cache keeps an ended one", async () => {
  const { servers, urls } = nodes.cluster;
  const bucket = newBucket();
  const nc = await connect({ servers: urls, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const options = { bucket, shards: SHARDS, replicas: 3, timeout: 30_000 };
  const store = new SessionStore<{ n: number }>(nc, { ...options, cache: { maxStale: 1000 } });
  const other = new SessionStore(nc, options);
  onTestFinished(async () => {
    await Promise.all([store.close(), other.close()]);
    await nc.close();
  });
  const ids = Array.from({ length: 60 }, (_, n) => `id ${n}`);
  const ended = Array.from({ length: 30 }, (_, n) => `ended ${n}`);
  for (const [n, id] of [...ids, ...ended].entries()) await store.save(id, { n });
  await Promise.all(ended.map((id) => warm(store, id)));

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
  const end = async (id: string) => {
    await answered(() => other.destroy(id));
    await until("the end to be known", async () => (await answered(() => store.load(id))) === null);
  };
  await Promise.all([...ids.map(write), ...ended.map(end)]);
  await server.restart();
  for (const [n, id] of ids.entries()) expect((await store.load(id))?.data).toEqual({ n: n + 1 });
  expect(await Promise.all(ended.map((id) => store.load(id)))).toEqual(ended.map(() => null));
});

it("several buckets get one replica and three again while a store uses them, and only one without a server is missed", async () => {
  const bucket = newBucket();
  const [nc] = nodes.connections;
  const store = new SessionStore<{ n: number }>(nc as NonNullable<typeof nc>, {
    bucket,
    shards: 3,
    replicas: 3,
    timeout: 2000,
    cache: { maxStale: 500 },
  });
  onTestFinished(() => store.close());
  const ids = [0, 1, 2].map((shard) => idsIn(store, shard, 3, 5));
  const all = ids.flat();
  for (const id of all) await answered(() => store.save(id, { n: 0 }));
  const write = async (id: string) => {
    const record = await answered(() => store.load(id));
    if (!record) throw new Error("A session is missing");
    const saved = await answered(() => store.save(id, { n: record.data.n + 1 }, { record }));
    expect(["saved", "merged"]).toContain(saved.outcome);
  };
  /** Writes all the time, until it is stopped. */
  const load = () => {
    let isDone = false;
    const writing = (async () => {
      while (!isDone) for (const id of all) await write(id);
    })();
    writing.catch(() => {});
    return async () => {
      isDone = true;
      await writing;
    };
  };

  // The second bucket lies on the second server alone, the others do not; the store is connected to the first one.
  const stop = load();
  for (const [shard, server] of [0, 1, 2].entries()) await nodes.lead(server, `${bucket}_${shard}`);
  for (const shard of [0, 1, 2]) await nodes.replicate(`${bucket}_${shard}`, 1);
  await stop();
  for (const [here] of ids as [string][]) await warm(store, here);
  const lost = nodes.server(1);
  await lost.kill();
  const [first, second, third] = ids.map(([id]) => id) as [string, string, string];
  await until("loads from the bucket that is missed to reject", () =>
    store.load(second).then(
      () => false,
      ({ code }) => code === "ERR_SESSION_UNAVAILABLE",
    ),
  );
  await expect(store.save(second, { n: -1 })).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
  for (const id of [first, third]) {
    await write(id);
    await warm(store, id);
  }
  await lost.restart();
  for (const id of ids[1] ?? []) expect(await answered(() => store.load(id))).not.toBeNull();

  const stopAgain = load();
  for (const shard of [0, 1, 2]) await nodes.replicate(`${bucket}_${shard}`, 3);
  await stopAgain();
  for (const id of all) expect(await answered(() => store.load(id))).not.toBeNull();
});
