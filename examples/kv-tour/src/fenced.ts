import type { KV } from "@nats-io/kv";
import { isConflict } from "./conflict.js";

/** What is stored: the data, and the highest fencing number that has written. */
interface Fenced {
  readonly fence: number;
  readonly data: string;
}

/**
 * Writes to a key that a lock guards, unless a later holder of the lock has written already: checked and written
 * in one step, by the revision. The same works in a database (`UPDATE … WHERE fence <= $1`).
 * @param fence the writer's fencing number, `lock.fence`
 * @returns whether it was written; false = refused, the number is too old
 */
export async function writeFenced(kv: KV, key: string, fence: number, data: string): Promise<boolean> {
  const text = JSON.stringify({ fence, data } satisfies Fenced);
  for (;;) {
    const entry = await kv.get(key);
    if (entry?.operation === "PUT" && entry.json<Fenced>().fence > fence) return false;
    try {
      await (entry ? kv.update(key, text, entry.revision) : kv.create(key, text));
      return true;
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
}
