import { resolveOptions } from "../../packages/core/dist/resolve-options.js";

/** The store that the others are compared with. */
export const BASE = "connect-redis";
export const POSTGRES = "connect-pg-simple";
export const PLAIN = "connect-nats";
export const CACHED = "connect-nats, cache";
/** On a nats-server that shares its cores with the applications; see scaling.md. */
export const ONE_THREAD = "connect-nats, GOMAXPROCS=1";
export const AOF = `${BASE}, append-only file`;
export const KOA_BASE = "koa-redis";
export const KOA_PLAIN = "koa-session-nats";
export const KOA_CACHED = "koa-session-nats, cache";

/**
 * What is measured side by side, each with its default settings.
 *
 * @typedef {object} Variant
 * @property {string} name
 * @property {"express" | "koa"} [framework]
 * @property {"none" | "memory" | "redis" | "postgres" | "nats" | "koa-redis" | "koa-nats"} kind which store, see stores.mjs
 * @property {import("./servers/index.mjs").Kind} [server]
 * @property {object} [options] of the store
 * @property {string} touch what a request that only reads makes it store
 *
 * @type {Variant[]}
 */
const all = [
  { name: "no session", kind: "none", touch: "nothing" },
  { name: "MemoryStore", kind: "memory", touch: "the new expiry, each time" },
  { name: BASE, kind: "redis", server: "redis", touch: "the new expiry, each time" },
  {
    name: AOF,
    kind: "redis",
    server: "redis-aof",
    touch: "the new expiry, each time",
  },
  { name: POSTGRES, kind: "postgres", server: "postgres", touch: "the new expiry, each time" },
  { name: PLAIN, kind: "nats", server: "nats", touch: "the new expiry, once a minute" },
  {
    name: CACHED,
    kind: "nats",
    server: "nats",
    options: { cache: true },
    touch: "the new expiry, once a minute",
  },
  { name: ONE_THREAD, kind: "nats", server: "nats, one thread", touch: "the new expiry, once a minute" },
  { name: KOA_BASE, framework: "koa", kind: "koa-redis", server: "redis", touch: "nothing" },
  { name: KOA_PLAIN, framework: "koa", kind: "koa-nats", server: "nats", touch: "nothing" },
  {
    name: KOA_CACHED,
    framework: "koa",
    kind: "koa-nats",
    server: "nats",
    options: { cache: true },
    touch: "nothing",
  },
];

/**
 * Starts the servers of the variants; those that cannot be measured are left out, and the servers remember why.
 *
 * @param {import("./servers/index.mjs").Servers} servers
 * @param {(variant: Variant) => boolean} wanted
 * @returns {Promise<(Variant & { settings: object, pid: number | undefined })[]>} with the settings of `openStore`
 */
export async function startVariants(servers, wanted = () => true) {
  const started = new Map();
  const variants = [];
  for (const variant of all.filter(wanted)) {
    const { name, kind, server: serverKind, options = {} } = variant;
    const unknown = kind.endsWith("nats") && Object.keys(options).find((option) => !isKnown(option));
    if (unknown) {
      servers.missing.add(
        `"${name}" is not measured: this version of the store has no option \`${unknown}\``,
      );
      continue;
    }
    if (serverKind && !started.has(serverKind)) started.set(serverKind, await servers.start(serverKind));
    const server = started.get(serverKind);
    if (serverKind && !server) continue;
    const settings = { kind, url: server?.url, options };
    if (kind.endsWith("nats")) settings.options = { ...options, bucket: name.replace(/[^a-z]+/g, "-") };
    variants.push({ ...variant, settings, pid: server?.pid });
  }
  return variants;
}

function isKnown(option) {
  try {
    resolveOptions({ [option]: true });
    return true;
  } catch {
    return false;
  }
}
