import connectPgSimple from "connect-pg-simple";
import { RedisStore } from "connect-redis";
import session from "express-session";
import openKoaRedis from "koa-redis";
import { createClient } from "redis";
import { type DatabaseKind, startDatabase } from "../../support/databases.js";

/** A store that applications move away from, on a database that runs. */
export interface OldDatabase {
  readonly url: string;
  /** The store of one process of the release before, and how it is closed. */
  // biome-ignore lint/suspicious/noExplicitAny: it is a store of express-session or of koa-session
  open(): Promise<[store: any, Closed]>;
  /** By SIGKILL; what it has on disk stays. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** What a process closes. */
export interface Closed {
  close(): Promise<unknown>;
}

const stores: Record<
  string,
  { database: DatabaseKind; open(url: string): Promise<[store: object, Closed]> }
> = {
  "connect-redis": {
    database: "redis",
    async open(url) {
      const client = createClient({ url });
      // A test that fails leaves it open when the database stops.
      client.on("error", () => {});
      await client.connect();
      return [new RedisStore({ client, prefix: "sess:" }), client];
    },
  },
  "connect-pg-simple": {
    database: "postgres",
    async open(conString) {
      const PgStore = connectPgSimple(session);
      const store = new PgStore({
        conString,
        createTableIfMissing: true,
        pruneSessionInterval: false,
        errorLog: () => {},
      });
      return [store, store];
    },
  },
  "koa-redis": {
    database: "redis",
    async open(url) {
      const store = openKoaRedis({ url });
      return [store, { close: () => store.quit() }];
    },
  },
};

/** Starts the database of an old store; nothing where this machine does not have it. */
export async function startOldStore(name: string): Promise<OldDatabase | undefined> {
  const kind = stores[name];
  if (!kind) throw new Error(`No old store ${name}`);
  const database = await startDatabase(kind.database);
  if (!database) return undefined;
  return {
    url: database.url,
    open: () => kind.open(database.url),
    kill: () => database.kill(),
    restart: () => database.restart(),
    stop: () => database.stop(),
  };
}
