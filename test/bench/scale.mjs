import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { startClient } from "./harness/client-process.mjs";
import { memoryOf } from "./harness/cpu.mjs";
import { atMost, rounded, told } from "./harness/report.mjs";
import { median } from "./harness/rounds.mjs";

const FEW = 1000;
const SIZES = [10_000, 100_000, 1_000_000];
const MB = 2 ** 20;

/** A server that goes through the files of a million sessions takes longer to start, and a client to get an answer. */
export const PATIENCE = 120_000;

/** Operations that are timed, and how many of them in each round: 1 = as many as the settings say. */
const timed = { load: 1, save: 1, count: 0.1 };

/** Issue D: what changes when the sessions on one node become more and more; Redis holds the same. */
export async function measure(servers, { sessions, rounds, operations, profile }) {
  const few = await startNats(servers, "few", profile);
  const many = await startNats(servers, "many", profile);
  const redis = await startRedis(servers);
  await few.client.call("fillTo", FEW);

  const medians = {};
  let last;
  for (const size of SIZES.filter((size) => size < sessions).concat(sessions)) {
    const filled = await many.client.call("fillTo", size);
    await redis?.client.call("fillTo", size);
    const times = await timeBoth(few.client, many.client, { rounds, operations });
    medians[named(FEW)] ??= columnsOf(times.few);
    medians[named(size)] = {
      ...columnsOf(times.many),
      "saved/s": Math.round(filled),
      ...(await placeAndReturn("nats-server", many)),
      ...(redis && (await placeAndReturn("redis", redis))),
    };
    last = { size, times };
  }
  await Promise.all([few, many, redis].map((party) => party?.client.stop()));
  const ratio = (operation) => last.times.many[operation] / last.times.few[operation];
  return {
    medians,
    figures: [
      atMost(1.3, `latency of load at ${named(last.size)} / at ${named(FEW)}`, ratio("load")),
      told(`latency of save at ${named(last.size)} / at ${named(FEW)}`, ratio("save")),
      told(`latency of count() at ${named(last.size)} / at ${named(FEW)}`, ratio("count")),
    ],
    notes: [
      "latencies are medians of operations one after the other, of sessions from everywhere in the bucket; in each round, on a server of its own, beside those of 1 000 sessions",
      "back: from the start of the killed server until a session is loaded and all are counted; Redis with its append-only file",
    ],
  };
}

async function startNats(servers, bucket, profile) {
  const server = await servers.start("nats", { timeout: PATIENCE });
  const settings = { url: server.url, bucket, timeout: PATIENCE };
  return { server, client: await startClient(bucket, { file: "scale-nats.mjs", settings, profile }) };
}

async function startRedis(servers) {
  const server = await servers.start("redis-aof");
  if (!server) return undefined;
  return {
    server,
    client: await startClient("redis", { file: "scale-redis.mjs", settings: { url: server.url } }),
  };
}

/** Medians in ms of the operations among few and among many sessions, in turn. */
async function timeBoth(few, many, { rounds, operations }) {
  const clients = { few, many };
  const lists = {
    few: { load: [], save: [], count: [] },
    many: { load: [], save: [], count: [] },
  };
  for (const [operation, share] of Object.entries(timed)) {
    for (let round = 0; round <= rounds; round++) {
      for (const [name, client] of Object.entries(clients)) {
        const time = await client.call("time", operation, Math.ceil(operations * share));
        if (round > 0) lists[name][operation].push(time);
      }
    }
  }
  const mediansOf = (times) =>
    Object.fromEntries(Object.entries(times).map(([operation, list]) => [operation, median(list)]));
  return { few: mediansOf(lists.few), many: mediansOf(lists.many) };
}

export function named(size) {
  return `${size.toLocaleString("en").replaceAll(",", " ")} sessions`;
}

function columnsOf(times) {
  return Object.fromEntries(Object.entries(times).map(([operation, ms]) => [`${operation} ms`, rounded(ms)]));
}

/** What a server takes in memory and on disk, and how long it is away when it is killed. */
async function placeAndReturn(name, { server, client }) {
  const memory = memoryOf(server.pid) / MB;
  await server.kill();
  const disk = (await sizeOf(server.dataDir)) / MB;
  const start = performance.now();
  await server.restart();
  await client.call("isBack");
  return {
    [`${name} MB`]: Math.round(memory),
    [`${name} disk MB`]: Math.round(disk),
    [`${name} back s`]: rounded((performance.now() - start) / 1000),
  };
}

export async function sizeOf(folder) {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = files
    .filter((file) => file.isFile())
    .map(async (file) => (await stat(join(file.parentPath, file.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
