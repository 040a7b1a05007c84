import type { Connection } from "../connection/connection.js";
import { UsageError } from "../exit.js";
import type { Values } from "../input/arguments.js";
import { durationIn } from "../input/units.js";
import { openBucket } from "./bucket.js";
import { openLines } from "./lines.js";
import { openPostgres } from "./postgres.js";
import { openRedis } from "./redis.js";
import type { Source } from "./source.js";

const DAY = 86_400_000;

/** Of connect-redis. koa-redis has none unless the application gives one. */
const REDIS_PREFIX = "sess:";

/** Of connect-pg-simple. */
const TABLE = "session";

type Kind = "redis" | "postgres" | "nats" | "lines";

const KINDS: { readonly [protocol: string]: Kind } = {
  "redis:": "redis",
  "rediss:": "redis",
  "postgres:": "postgres",
  "postgresql:": "postgres",
  "nats:": "nats",
  "tls:": "nats",
};

/** Options that only one kind of source has. */
const ONLY: { readonly [option: string]: readonly Kind[] } = {
  prefix: ["redis", "nats"],
  "no-prefix": ["redis"],
  table: ["postgres"],
  "from-bucket": ["nats"],
  "from-shards": ["nats"],
  "from-domain": ["nats"],
  "from-api-prefix": ["nats"],
  ttl: ["redis", "postgres", "lines"],
};

/** What the arguments name. @throws UsageError */
export function sourceIn(values: Values, env: NodeJS.ProcessEnv) {
  const from = fromVariable(values.text("from"), env);
  const isNamed = ["from-bucket", "from-domain", "from-api-prefix"].some((name) => values.has(name));
  if (from === undefined && !isNamed) {
    throw new UsageError(
      "Expected --from redis://…, postgres://…, nats://…, a file of JSON lines or - for stdin, or --from-bucket NAME",
    );
  }
  const kind = kindOf(from);
  for (const [option, kinds] of Object.entries(ONLY)) {
    if (values.has(option) && !kinds.includes(kind)) {
      throw new UsageError(`Expected --${option} only where sessions come from ${kinds.join(" or ")}`);
    }
  }
  return {
    from,
    kind,
    ttl: durationIn(values, "ttl") ?? DAY,
    prefix: values.has("no-prefix") ? "" : values.text("prefix"),
    table: values.text("table") ?? TABLE,
    bucket: values.text("from-bucket"),
    shards: values.wholeNumber("from-shards", 1, 64),
    domain: values.text("from-domain"),
    apiPrefix: values.text("from-api-prefix"),
  };
}

/** Opens it; where it cannot be read its batches say so. @throws UnavailableError, CommandError */
export async function openSource(
  settings: ReturnType<typeof sourceIn>,
  connection: Connection,
): Promise<Source> {
  const { from = "", kind, ttl, prefix, table, bucket, shards, domain, apiPrefix } = settings;
  if (kind === "redis") return openRedis(from, titleOf(from), prefix ?? REDIS_PREFIX, ttl);
  if (kind === "postgres") return openPostgres(from, `${titleOf(from)}, table ${table}`, table, ttl);
  if (kind === "lines") return openLines(from, ttl);
  const place = { bucket, prefix, shards, domain, apiPrefix };
  const { admin, title, close } = connection.other(settings.from, place);
  return openBucket(admin, title, close);
}

function kindOf(from: string | undefined): Kind {
  if (from === undefined) return "nats";
  if (!from.includes("://")) return "lines";
  // The text is not quoted: it may hold a password.
  const kind = URL.canParse(from) ? KINDS[new URL(from).protocol] : undefined;
  if (kind) return kind;
  throw new UsageError("Expected --from to be a URL of redis://, rediss://, postgres:// or nats://");
}

/** Other users of the machine see what stands on a command line. */
function fromVariable(text: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (!text?.startsWith("env:")) return text;
  const name = text.slice("env:".length);
  const value = env[name];
  if (value) return value;
  throw new UsageError(`Expected --from in the variable ${name}, which is not set`);
}

/** The URL without user and password. */
function titleOf(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
