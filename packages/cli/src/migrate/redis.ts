import { asked, driver } from "./driver.js";
import { parsedSession } from "./session-form.js";
import { BATCH, type Found, type Source } from "./source.js";

/** The part of the package `redis`, from version 4 on, that is used. */
interface RedisClient {
  on(event: "error", listener: () => void): unknown;
  connect(): Promise<unknown>;
  sendCommand(command: readonly string[]): Promise<unknown>;
  destroy?(): unknown;
  disconnect?(): unknown;
}

interface RedisDriver {
  createClient(options: object): RedisClient;
}

/**
 * The sessions of connect-redis and koa-redis.
 * @param prefix start of the keys, before the session's id
 */
export async function openRedis(url: string, title: string, prefix: string, ttl: number): Promise<Source> {
  const { createClient } = await driver<RedisDriver>("redis");
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  // What it says is the reason of the command that fails.
  client.on("error", () => {});
  await asked(title, client.connect());
  const ask = <R>(...command: string[]) => asked(title, client.sendCommand(command) as Promise<R>);

  const read = async (keys: readonly string[]): Promise<Found[]> => {
    const [values, ...lives] = await Promise.all([
      ask<(string | null)[]>("MGET", ...keys),
      ...keys.map((key) => ask<number>("PTTL", key)),
    ]);
    return keys.map((key, n) => foundAt(key.slice(prefix.length), values?.[n], lives[n], ttl));
  };

  return {
    title,
    async *batches() {
      const pattern = `${prefix.replace(/[*?[\]\\^-]/g, "\\$&")}*`;
      let cursor = "0";
      do {
        const [next, keys] = await ask<[string, string[]]>(
          "SCAN",
          cursor,
          "MATCH",
          pattern,
          "COUNT",
          String(2 * BATCH),
        );
        cursor = String(next);
        for (let n = 0; n < keys.length; n += BATCH) yield await read(keys.slice(n, n + BATCH));
      } while (cursor !== "0");
    },
    close: async () => void (client.destroy ?? client.disconnect)?.call(client),
  };
}

function foundAt(id: string, value: string | null | undefined, life: number | undefined, ttl: number): Found {
  // Removed since its key was read.
  if (life === -2) return "expired";
  // Of another type than a text.
  if (typeof value !== "string") return "unreadable";
  const expiresAt = life !== undefined && life >= 0 ? Date.now() + life : undefined;
  return parsedSession(id, value, expiresAt, ttl);
}
