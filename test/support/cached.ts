import type { CacheStats, SessionStore } from "nats-session-store";
import { until } from "./wait.js";

export function statsOf(store: Pick<SessionStore, "cacheStats">): CacheStats {
  const stats = store.cacheStats();
  if (!stats) throw new Error("There is no cache");
  return stats;
}

/** Loads until the cache answers, which it does once there is a proof that the feed is complete. */
export async function warm(store: Pick<SessionStore, "cacheStats" | "load">, id: string): Promise<void> {
  await until("an answer from the cache", async () => {
    const before = statsOf(store).hits;
    // Of a server that was stopped a moment ago the answer may take too long.
    await store.load(id).catch(() => {});
    return statsOf(store).hits > before;
  });
}
