import { accessSync, constants, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ServerProcess } from "../../../packages/dev-server/dist/server-process.js";
import { guard, release } from "../../../packages/dev-server/dist/watchdog.js";

const START_PATIENCE = 300_000;
const STOP_PATIENCE = 10_000;

/** A program that this machine does not have; the message says how to get it. */
export class MissingProgram extends Error {}

/**
 * The path of a program: what an environment variable such as REDIS_SERVER_BIN names, else where it is found.
 *
 * @param {string} name
 * @param {{ install: string, folders?: string[] }} options where to look beside the PATH
 * @throws {MissingProgram}
 */
export function findProgram(name, { install, folders = [] }) {
  const named = process.env[`${name.toUpperCase().replaceAll("-", "_")}_BIN`];
  const everywhere = [...(process.env.PATH ?? "").split(delimiter), ...folders];
  for (const path of named ? [named] : everywhere.map((folder) => join(folder, name))) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  throw new MissingProgram(`${name} is not on this machine: ${install}`);
}

/** Subfolders of a folder, the one with the highest number first; none where there is no such folder. */
export function subfolders(folder, below) {
  try {
    const names = readdirSync(folder).sort((a, b) => Number(b) - Number(a));
    return names.map((name) => join(folder, name, below));
  } catch {
    return [];
  }
}

/** A temporary folder, removed with this process at the latest. */
export async function temporaryFolder(name) {
  const path = await mkdtemp(join(tmpdir(), `bench-${name}-`));
  guard(path);
  return path;
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Runs a server program until it is stopped.
 *
 * @param {object} settings
 * @param {string} settings.program
 * @param {string[]} settings.args
 * @param {string} settings.folder holds its data; removed by `stop`
 * @param {string} settings.url
 * @param {string} settings.version
 * @param {() => Promise<unknown>} settings.answers rejects until the server answers
 * @returns {Promise<import("./index.mjs").Server>}
 */
export async function runProgram({ program, args, folder, url, version, answers }) {
  /** @type {ServerProcess} */
  let running;
  const start = async () => {
    running = new ServerProcess(program, args);
    const deadline = Date.now() + START_PATIENCE;
    for (;;) {
      try {
        await answers();
        return;
      } catch (cause) {
        const { ended = Date.now() > deadline ? "is not ready" : undefined } = running;
        if (ended) throw new Error(`${program} ${ended}. Its log:\n${running.log}`, { cause });
        await sleep(5);
      }
    }
  };
  await start();
  return {
    url,
    version,
    dataDir: folder,
    get pid() {
      return running.pid;
    },
    kill: () => running.kill(),
    restart: start,
    stop: async () => {
      await running.stop(STOP_PATIENCE);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      release(folder);
    },
  };
}
