import { execFile } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startClient } from "../harness/client-process.mjs";
import { memoryOf } from "../harness/cpu.mjs";
import { rounded } from "../harness/report.mjs";

const MB = 2 ** 20;

/** In ms. A server that goes through the files of ten million sessions takes minutes to start. */
const PATIENCE = 900_000;

/** `nats-sessions`, as an operator runs it. */
const cli = fileURLToPath(new URL("../../../packages/cli/dist/main.js", import.meta.url));

/**
 * A server of its own, with a client of its own that fills it.
 *
 * @typedef {object} Party
 * @property {string} name
 * @property {import("../servers/index.mjs").Server} server
 * @property {import("../harness/client-process.mjs").Client} client
 * @property {() => Promise<void>} stop both, and what they hold
 */

/** @returns {Promise<Party & { statsArgs: string[] }>} with what `nats-sessions stats` needs to find the sessions */
export async function startNats(servers, bucket, { shards, profile }) {
  const server = await servers.start("nats", { timeout: PATIENCE });
  const settings = { url: server.url, bucket, timeout: PATIENCE, shards };
  const name = `${bucket}-${shards}`;
  const client = await startClient(name, { file: "scale-nats.mjs", settings, profile });
  const statsArgs = ["--server", server.url, "--bucket", bucket, "--shards", String(shards)];
  return { ...party("nats-server", server, client), statsArgs };
}

/** @returns {Promise<Party | undefined>} `undefined` where Redis is not on this machine */
export async function startRedis(servers) {
  const server = await servers.start("redis-aof");
  if (!server) return undefined;
  const settings = { url: server.url };
  return party("redis", server, await startClient("redis", { file: "scale-redis.mjs", settings }));
}

function party(name, server, client) {
  return {
    name,
    server,
    client,
    stop: async () => {
      await client.stop();
      await server.stop();
    },
  };
}

/** How long `nats-sessions stats` takes, in s. */
export async function timeStats({ statsArgs }) {
  const begun = performance.now();
  await promisify(execFile)(process.execPath, [cli, "stats", ...statsArgs, "--format", "json"]);
  return (performance.now() - begun) / 1000;
}

/** What a server takes in memory and on disk, and how long it is away when it is killed. */
export async function placeAndReturn({ name, server, client }) {
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

async function sizeOf(folder) {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = files
    .filter((file) => file.isFile())
    .map(async (file) => (await stat(join(file.parentPath, file.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
