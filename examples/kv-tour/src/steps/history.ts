import { deleteBucket, emptyBucket } from "../bucket.js";
import type { Step } from "../tour.js";

/** A bucket keeps the latest revisions of each key: as many as its history says, 1 unless told otherwise. */
export const step: Step = {
  title: "the earlier revisions of a key",

  async run({ nc, say }) {
    const kv = await emptyBucket(nc, "tour-history", { history: 5 });
    try {
      // Six writes of one key. The bucket keeps five, so the first will be gone.
      const first = await kv.put("price", "100");
      await kv.put("price", "90");
      const third = await kv.put("price", "80");
      await kv.delete("price");
      await kv.put("price", "85");
      await kv.put("price", "95");

      // From the oldest to the newest. The iterator ends when there is no more.
      let last: number | undefined;
      for await (const entry of await kv.history({ key: "price" })) {
        const value = entry.operation === "PUT" ? entry.string() : "-";
        say(
          `revision ${entry.revision}  ${entry.operation}  ${value.padStart(3)}  ${entry.created.toISOString()}`,
        );
        last = entry.revision;
      }

      // One old revision, asked for by its number.
      const old = await kv.get("price", { revision: third });
      say(`price at revision ${third}: ${old?.string()}`);
      const gone = await kv.get("price", { revision: first });
      say(`price at revision ${first}: ${gone} (the history is 5 deep)`);

      // Going back is one more write: history is never rewritten.
      const restored = await kv.put("price", old?.value ?? "");
      say(`Put ${old?.string()} back as revision ${restored}, after ${last}`);

      // `purge` is the delete that takes the history with it: for secrets, and for what the law wants gone.
      await kv.purge("price");
      const left: string[] = [];
      for await (const entry of await kv.history({ key: "price" })) left.push(entry.operation);
      say(`After a purge the history is: ${left.join(", ")}`);
    } finally {
      await deleteBucket(nc, "tour-history");
    }
  },
};
