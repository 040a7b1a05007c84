import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";
import connectPgSimple from "connect-pg-simple";
import { RedisStore } from "connect-redis";
import session from "express-session";
import koaRedis from "koa-redis";
import { NatsStore as KoaNatsStore } from "koa-session-nats";
import pg from "pg";
import { createClient } from "redis";

/** Packages whose versions belong to the figures. */
export const packages = [
  "express",
  "express-session",
  "@nats-io/transport-node",
  "connect-redis",
  "redis",
  "connect-pg-simple",
  "pg",
  "koa",
  "koa-session",
  "koa-redis",
];

const kinds = {
  none: async () => ({ store: undefined, close: async () => {} }),

  memory: async () => ({ store: new session.MemoryStore(), close: async () => {} }),

  redis: async (url) => {
    const client = await createClient({ url }).connect();
    return { store: new RedisStore({ client }), close: () => client.close() };
  },

  postgres: async (url) => {
    const pool = new pg.Pool({ connectionString: url });
    const PgStore = connectPgSimple(session);
    const store = new PgStore({ pool, createTableIfMissing: true });
    return {
      store,
      close: async () => {
        await store.close();
        await pool.end();
      },
    };
  },

  "koa-redis": async (url) => {
    const store = koaRedis({ url });
    return { store, close: () => store.quit() };
  },

  "koa-nats": async (url, options) => {
    const nc = await connect({ servers: url });
    const store = await KoaNatsStore.open(nc, options);
    return {
      store,
      close: async () => {
        await store.close();
        await nc.close();
      },
    };
  },

  nats: async (url, options) => {
    const nc = await connect({ servers: url });
    const store = await NatsStore.open(nc, options);
    return {
      store,
      close: async () => {
        await store.close();
        await nc.close();
      },
    };
  },
};

/**
 * Opens a store for express-session with a connection of its own.
 *
 * @param {{ kind: keyof typeof kinds, url: string | undefined, options: object }} settings options are those of the
 * store of this project
 * @returns {Promise<{ store: session.Store | undefined, close: () => Promise<unknown> }>}
 */
export function openStore({ kind, url, options }) {
  return kinds[kind](url, options);
}
