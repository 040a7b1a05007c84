import { startNatsCluster, startNatsServer } from "nats-dev-server";
import { startPostgres } from "./postgres.mjs";
import { MissingProgram } from "./program.mjs";
import { startRedis } from "./redis.mjs";

/**
 * A database of the benchmarks, in a process of its own with its data in a temporary folder.
 *
 * @typedef {object} Server
 * @property {string} url
 * @property {number} pid
 * @property {string} version
 * @property {string} dataDir
 * @property {() => Promise<void>} kill by SIGKILL; the data stay
 * @property {() => Promise<void>} restart resolves when it answers
 * @property {() => Promise<void>} stop its data go too
 */

/** How each kind is started, and how it is called among the versions of a record. */
const kinds = {
  nats: { program: "nats-server", start: (options) => startNatsServer(options) },
  "nats, one thread": {
    program: "nats-server",
    start: (options) => startNatsServer({ ...options, env: { GOMAXPROCS: "1" } }),
  },
  "nats cluster": {
    program: "nats-server",
    start: async (options) => {
      const cluster = await startNatsCluster(options);
      return Object.assign(cluster, { version: cluster.servers[0].version });
    },
  },
  redis: { program: "redis-server", start: () => startRedis({ appendOnly: false }) },
  "redis-aof": { program: "redis-server", start: () => startRedis({ appendOnly: true }) },
  postgres: { program: "postgres", start: () => startPostgres() },
};

/** @typedef {keyof typeof kinds} Kind */

/** The servers of one benchmark. What is missing on this machine is remembered, not passed over. */
export class Servers {
  /** @type {Server[]} */
  #running = [];

  /** @type {Record<string, string>} program → version */
  versions = {};

  /** @type {Set<string>} what could not be measured, and the command that mends it */
  missing = new Set();

  /**
   * Starts a server; `undefined` when its program is not on this machine.
   *
   * @param {Kind} kind
   * @param {object} [options] of `startNatsServer`
   * @returns {Promise<Server | undefined>}
   */
  async start(kind, options) {
    const { program, start } = kinds[kind];
    try {
      const server = await start(options);
      this.#running.push(server);
      this.versions[program] = server.version;
      return server;
    } catch (error) {
      if (!(error instanceof MissingProgram)) throw error;
      this.missing.add(error.message);
      return undefined;
    }
  }

  async stop() {
    await Promise.all(this.#running.map((server) => server.stop()));
    this.#running = [];
  }
}
