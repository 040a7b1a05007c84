import { Kvm } from "@nats-io/kv";
import { deleteBucket } from "../bucket.js";
import type { Step } from "../tour.js";

/**
 * A bucket is a named set of keys with limits of its own. Underneath it is a JetStream stream called
 * `KV_<bucket>`: that is why it has a history, can be watched, and is replicated like any stream.
 */
export const step: Step = {
  title: "create a bucket, open it, look at it",

  async run({ nc, say }) {
    // Kvm, the key-value manager, creates, opens and lists buckets. It costs nothing to make one.
    const kvm = new Kvm(nc);
    const name = "tour-bucket";
    await deleteBucket(nc, name);

    try {
      await kvm.create(name, {
        description: "What the shop has in stock",
        maxValueSize: 1024, // bytes; a larger value is refused
        history: 10, // revisions kept for each key, 1 to 64
        ttl: 3_600_000, // milliseconds; an hour after its last write a key is gone
      });
      say(`Created the bucket ${name}`);

      // `open` does not ask whether the bucket is there: the first thing done with it would fail. `create` on
      // an existing bucket opens it and leaves its settings as they are.
      const kv = await kvm.open(name);
      await kv.put("apples", "12");
      await kv.put("pears", "7");
      await kv.put("apples", "11");

      const status = await kv.status();
      say(`description: ${status.description}`);
      // `values` counts all that is kept, so both revisions of apples.
      say(`values:      ${status.values} (2 keys, one of them with 2 revisions)`);
      say(`history:     ${status.history} revisions per key`);
      say(`TTL:         ${status.ttl / 1000} s`);
      say(`bytes:       ${status.size}`);
      say(`value size:  at most ${status.maxValueSize} bytes`);
      say(
        `stream:      ${status.streamInfo.config.name}, ${status.replicas} replica, ${status.storage} storage`,
      );

      const buckets: string[] = [];
      for await (const { bucket } of kvm.list()) buckets.push(bucket);
      say(`All buckets of this account: ${buckets.sort().join(", ")}`);
    } finally {
      await deleteBucket(nc, name);
    }
    say(`Deleted ${name} with all it held`);
  },
};
