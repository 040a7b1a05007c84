import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startClient } from "./harness/client-process.mjs";
import { memoryOf } from "./harness/cpu.mjs";
import { atMost, rounded, told } from "./harness/report.mjs";
import { median } from "./harness/rounds.mjs";
import { named, PATIENCE, sizeOf } from "./scale.mjs";

const FEW = 1000;
const MB = 2 ** 20;

/** `nats-sessions`, as an operator runs it. */
const cli = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));

/** Operations that are timed, and how many of them in each round: 1 = as many as the settings say. */
const timed = { load: 1, save: 1, count: 0.1, signIn: 0.25, listByUser: 0.25 };

/** Issue L: what changes when the sessions in several buckets on one node become more and more. */
export async function measure(servers, { sessions, rounds, operations, shards, profile }) {
  const few = await start(servers, "few", shards, profile);
  const many = await start(servers, "many", shards, profile);
  await few.client.call("fillTo", FEW);
  const empty = memoryOf(many.server.pid);
  const filled = await many.client.call("fillTo", sessions);
  const times = await timeInTurn({ few, many }, { rounds, operations });
  const stats = { few: await timeStats(few, shards), many: await timeStats(many, shards) };
  const memory = memoryOf(many.server.pid);
  await many.server.kill();
  const disk = await sizeOf(many.server.dataDir);
  const killedAt = performance.now();
  await many.server.restart();
  await many.client.call("isBack");
  const back = (performance.now() - killedAt) / 1000;
  await Promise.all([few, many].map(({ client }) => client.stop()));

  const rowOf = (name) => ({
    ...Object.fromEntries(Object.entries(times[name]).map(([what, ms]) => [`${what} ms`, rounded(ms)])),
    "stats s": rounded(stats[name]),
  });
  const ratio = (operation) => times.many[operation] / times.few[operation];
  const size = named(sessions);
  return {
    medians: {
      [named(FEW)]: rowOf("few"),
      [size]: {
        ...rowOf("many"),
        "saved/s": Math.round(filled),
        "nats-server MB": Math.round(memory / MB),
        "nats-server disk MB": Math.round(disk / MB),
        "nats-server back s": rounded(back),
      },
    },
    figures: [
      atMost(1.5, `${shards} buckets: latency of load at ${size} / at ${named(FEW)}`, ratio("load")),
      atMost(1.5, `${shards} buckets: latency of save at ${size} / at ${named(FEW)}`, ratio("save")),
      told(`${shards} buckets: latency of a sign-in at ${size} / at ${named(FEW)}`, ratio("signIn")),
      told(`${shards} buckets: latency of listByUser at ${size} / at ${named(FEW)}`, ratio("listByUser")),
      told(`${shards} buckets: bytes of memory for each session`, (memory - empty) / sessions),
    ],
    notes: [
      `${shards} buckets on one server; latencies are medians of operations one after the other, of sessions from everywhere; in each round, on a server of its own, beside those of ${named(FEW)}`,
      "stats: one run of `nats-sessions stats`, with the start of its process",
      "back: from the start of the killed server until a session is loaded and all are counted",
    ],
  };
}

async function start(servers, bucket, shards, profile) {
  const server = await servers.start("nats", { timeout: PATIENCE });
  const settings = { url: server.url, bucket, timeout: PATIENCE, shards };
  return { bucket, server, client: await startClient(bucket, { file: "scale-nats.mjs", settings, profile }) };
}

/** Medians in ms of the operations among few and among many sessions, in turn. */
async function timeInTurn(parties, { rounds, operations }) {
  const lists = Object.fromEntries(Object.keys(parties).map((name) => [name, {}]));
  for (const [operation, share] of Object.entries(timed)) {
    for (let round = 0; round <= rounds; round++) {
      for (const [name, { client }] of Object.entries(parties)) {
        const time = await client.call("time", operation, Math.ceil(operations * share));
        lists[name][operation] ??= [];
        if (round > 0) lists[name][operation].push(time);
      }
    }
  }
  const mediansOf = (list) =>
    Object.fromEntries(Object.entries(list).map(([operation, times]) => [operation, median(times)]));
  return Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, mediansOf(list)]));
}

/** How long `nats-sessions stats` takes, in s. */
async function timeStats({ server, bucket }, shards) {
  const begun = performance.now();
  const where = ["--server", server.url, "--bucket", bucket, "--shards", String(shards)];
  await promisify(execFile)(process.execPath, [cli, "stats", ...where, "--format", "json"]);
  return (performance.now() - begun) / 1000;
}
