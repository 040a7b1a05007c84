import { JetStreamApiError } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import { deleteBucket, emptyBucket } from "../bucket.js";
import type { Step } from "../tour.js";

/**
 * Compare-and-set. Two clients read, both change what they read, both write: with `put` the later write erases
 * the earlier one. A write that names the revision it builds on is refused instead, and can be done again.
 */
export const step: Step = {
  title: "compare-and-set: no lost updates, no double create",

  async run({ nc, say }) {
    const kv = await emptyBucket(nc, "tour-revisions");
    try {
      // `create` only if the key is absent, or deleted.
      const first = await kv.create("stock.apples", "10");
      say(`create stock.apples = 10: revision ${first}`);
      say(`create once more: ${await conflict(() => kv.create("stock.apples", "99"))}`);

      // Two clients have read revision 1. The first one's update goes through, the second one's does not.
      const second = await kv.update("stock.apples", "9", first);
      say(`client A, update from revision ${first} to 9: revision ${second}`);
      say(
        `client B, update from revision ${first} to 8: ${await conflict(() => kv.update("stock.apples", "8", first))}`,
      );
      say(`stock.apples is ${(await kv.get("stock.apples"))?.string()}: A's change is kept`);

      // What B does then: read again, and try again on what is there now.
      const sold = await Promise.all(Array.from({ length: 5 }, () => takeOne(kv, "stock.apples")));
      say(`Five clients take one apple each at the same time, in ${sold.reduce((a, b) => a + b)} attempts`);
      say(`stock.apples is ${(await kv.get("stock.apples"))?.string()}`);

      // A delete can ask for a revision too.
      const stale = conflict(() => kv.delete("stock.apples", { previousSeq: second }));
      say(`delete at revision ${second}: ${await stale}`);
    } finally {
      await deleteBucket(nc, "tour-revisions");
    }
  },
};

/** Reads, takes one away and writes on the revision it read, until nobody was faster. Returns the attempts. */
async function takeOne(kv: KV, key: string): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const entry = await kv.get(key);
    if (entry === null) throw new Error(`${key} is gone`);
    try {
      await kv.update(key, String(Number(entry.string()) - 1), entry.revision);
      return attempt;
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
}

/** The server's error code for "wrong last sequence"; the message may change, the code does not. */
function isConflict(error: unknown): error is JetStreamApiError {
  return error instanceof JetStreamApiError && error.code === 10071;
}

async function conflict(write: () => Promise<unknown>): Promise<string> {
  try {
    await write();
  } catch (error) {
    if (isConflict(error)) return `refused, ${error.code} ${error.message}`;
    throw error;
  }
  throw new Error("Expected the write to be refused");
}
