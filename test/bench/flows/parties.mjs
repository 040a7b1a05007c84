import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";
import { RedisStore } from "connect-redis";
import koaRedis from "koa-redis";
import { NatsStore as KoaNatsStore } from "koa-session-nats";
import { createClient } from "redis";
import { serveExpress, serveKoa } from "./apps.mjs";

/** Questions about the bucket itself: at most two a second for a whole process, whatever its requests do. */
const ABOUT_THE_BUCKET = "$JS.API.STREAM.INFO.";

/** Commands by which a client begins, and those that count. */
const NOT_COUNTED = new Set(["info", "hello", "client", "client|setinfo", "config"]);

/**
 * An application whose store tells how many messages it has sent.
 *
 * @typedef {object} Party
 * @property {string} url
 * @property {() => Promise<number> | number} count
 * @property {boolean} [isCached]
 * @property {() => Promise<void>} close
 */

/** @returns {Promise<Party>} */
export async function natsParty(url, framework, options) {
  const nc = await connect({ servers: url });
  let sent = 0;
  const { publish } = nc;
  nc.publish = (subject, ...rest) => {
    if (!subject.startsWith(ABOUT_THE_BUCKET)) sent++;
    return publish.call(nc, subject, ...rest);
  };
  const store = await (framework === "koa" ? KoaNatsStore : NatsStore).open(nc, options);
  const app = await serve(framework, store);
  return {
    url: app.url,
    count: () => sent,
    isCached: options.cache !== undefined,
    close: async () => {
      app.close();
      await store.close();
      await nc.close();
    },
  };
}

/** @returns {Promise<Party>} */
export async function redisParty(url, framework) {
  const client = await createClient({ url }).connect();
  const store = framework === "koa" ? koaRedis({ url }) : new RedisStore({ client });
  const app = await serve(framework, store);
  return {
    url: app.url,
    count: async () => callsIn(await client.info("commandstats")),
    close: async () => {
      app.close();
      if (framework === "koa") await store.quit();
      await client.close();
    },
  };
}

function serve(framework, store) {
  return framework === "koa" ? serveKoa(store) : serveExpress(store);
}

/** How many commands a server has run: lines such as `cmdstat_get:calls=3,…`. */
function callsIn(info) {
  let calls = 0;
  for (const [, name, count] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
    if (!NOT_COUNTED.has(name)) calls += Number(count);
  }
  return calls;
}
