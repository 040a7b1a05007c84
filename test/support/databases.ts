import type { Database } from "../bench/servers/database.mjs";
import { startPostgres } from "../bench/servers/postgres.mjs";
import { MissingProgram } from "../bench/servers/program.mjs";
import { startRedis } from "../bench/servers/redis.mjs";

const kinds = {
  redis: () => startRedis({ appendOnly: false }),
  postgres: () => startPostgres(),
};

export type DatabaseKind = keyof typeof kinds;

/** A database of the test's own; nothing where its program is missing, except in CI, which needs it. */
export async function startDatabase(kind: DatabaseKind): Promise<Database | undefined> {
  try {
    return await kinds[kind]();
  } catch (error) {
    if (process.env.CI || !(error instanceof MissingProgram)) throw error;
    console.warn(`The tests with ${kind} are left out: ${error.message}`);
    return undefined;
  }
}
