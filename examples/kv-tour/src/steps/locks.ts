import { deleteBucket, emptyBucket } from "../bucket.js";
import { Locks } from "../locks.js";
import type { Step } from "../tour.js";
import { Worker } from "../worker.js";

const BUCKET = "tour-locks";
const GUARDED = "tour-locks-data";
const TTL = 2000;

/** A lock for several processes: `Locks` in src/locks.ts and `Lock` in src/lock.ts. The holders are workers. */
export const step: Step = {
  title: "locks with a fencing number",

  async run({ nc, servers, say }) {
    await deleteBucket(nc, BUCKET);
    const guarded = await emptyBucket(nc, GUARDED);
    const locks = await Locks.open(nc, { bucket: BUCKET });
    const workers: Worker[] = [];
    const start = async () => {
      const worker = new Worker("lock", servers, BUCKET, "report", String(TTL), GUARDED);
      workers.push(worker);
      await worker.lineWith("ready");
      return worker;
    };

    try {
      // Two processes compete. To take the lock is to create a key, and only one can.
      const first = await start();
      say(`first:  ${await first.lineWith("taken")} is its fencing number, the revision of the key`);
      const second = await start();
      say(`second: waits; we try once and get ${await locks.acquire("report", { ttl: TTL })}`);

      // The holder dies. Nobody renews the key any more, its TTL passes, and the other one can create it.
      await first.kill();
      const killed = Date.now();
      say("first:  is killed");
      const taken = await second.lineWith("taken");
      say(`second: ${taken}, ${((Date.now() - killed) / 1000).toFixed(1)} s later: a higher number`);
      second.send("by second");
      say(`second: ${await second.lineWith("written")}`);

      // The holder freezes (a long pause of the machine, say) for longer than the TTL, and another takes over.
      const third = await start();
      second.signal("SIGSTOP");
      say("second: is frozen");
      say(`third:  ${await third.lineWith("taken")}`);
      third.send("by third");
      say(`third:  ${await third.lineWith("written")}`);

      // It wakes up and writes as if nothing had happened. The guarded key has seen a higher number and refuses.
      second.send("by second, too late");
      second.signal("SIGCONT");
      const lines = [await second.line(), await second.line()].sort();
      for (const line of lines) say(`second: ${line}`);
      say(`the guarded key holds ${(await guarded.get("report"))?.string()}`);

      // Released in good order: free at once, without waiting for the TTL.
      third.send("release");
      say(`third:  ${await third.lineWith("released")}`);
      const ours = await locks.acquire("report", { ttl: TTL });
      say(`we try once and get it, number ${ours?.fence}; released: ${await ours?.release()}`);
      say(`released again: ${await ours?.release()}, for it was no longer ours`);
    } finally {
      await Promise.all(workers.map((worker) => worker.kill()));
      await deleteBucket(nc, BUCKET);
      await deleteBucket(nc, GUARDED);
    }
  },
};
