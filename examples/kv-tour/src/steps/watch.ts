import type { KvWatchEntry } from "@nats-io/kv";
import { deleteBucket, emptyBucket } from "../bucket.js";
import type { Step } from "../tour.js";

/**
 * A watch hands over what is there and then every change, as it happens: nobody has to poll. It is an
 * iterator, so it is read with `for await`, and the loop goes on until the watch is stopped.
 */
export const step: Step = {
  title: "watch all keys, or one",

  async run({ nc, say }) {
    const kv = await emptyBucket(nc, "tour-watch", {
      history: 5, // with one revision per key, a watch need not see what is overwritten at once
    });
    try {
      await kv.put("door.front", "closed");
      await kv.put("door.back", "open");

      // All keys. The present values come first; `isUpdate` turns true with the last of them.
      const all = await kv.watch();
      const seenByAll = (async () => {
        let complete = false;
        for await (const entry of all) {
          say(`all keys:   ${describe(entry)}`);
          if (entry.isUpdate && !complete) {
            complete = true;
            say("all keys:   that is all there was; what follows are changes");
          }
          if (entry.key === "alarm" && entry.operation === "DEL") break; // leaving the loop stops the watch
        }
      })();

      // One key, changes only. A key may be a pattern (`door.*`), or several (`["door.front", "alarm"]`).
      const front = await kv.watch({ key: "door.front", include: "updates" });
      const seenAtFront = (async () => {
        for await (const entry of front) {
          say(`front door: ${describe(entry)}`);
          if (entry.operation === "DEL") front.stop(); // so does stop(), from wherever the watch is at hand
        }
      })();

      await kv.put("door.front", "open");
      await kv.put("alarm", "ringing");
      await kv.delete("door.front");
      await kv.delete("alarm");

      await Promise.all([seenByAll, seenAtFront]);
      say("Both watches have stopped");

      // Nobody is listening any more.
      await kv.put("door.back", "closed");
    } finally {
      await deleteBucket(nc, "tour-watch");
    }
  },
};

function describe(entry: KvWatchEntry): string {
  const value = entry.operation === "PUT" ? ` = ${entry.string()}` : "";
  return `${entry.operation} ${entry.key}${value} (revision ${entry.revision})`;
}
