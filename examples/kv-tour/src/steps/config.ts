import type { NatsConnection } from "@nats-io/transport-node";
import { deleteBucket, emptyBucket } from "../bucket.js";
import { Config } from "../config.js";
import type { Step } from "../tour.js";
import { Worker } from "../worker.js";

const BUCKET = "tour-config";

/** A configuration for all processes, on a bucket: `Config` in src/config.ts. The second process is a worker. */
export const step: Step = {
  title: "a distributed configuration",

  async run({ nc, servers, say, restartServer }) {
    const kv = await emptyBucket(nc, BUCKET, { maxValueSize: 1024 });
    const config = await Config.open(nc, {
      bucket: BUCKET,
      defaults: { greeting: "Hello", pageSize: 20, beta: false },
      onError: (error) => say(`here:  error: ${error.message}`),
    });
    const other = new Worker("config", servers, BUCKET);
    try {
      // The defaults give the values their types: config.set("pageSize", "many") does not compile.
      say(`here:  nobody has set anything: ${JSON.stringify(config.getAll())}`);
      await other.lineWith("ready");

      // Set here. When set() returns, this process reads the new value; the others a moment later.
      await config.set("pageSize", 50);
      say(`here:  pageSize set, get() says ${config.get("pageSize")}`);
      say(`there: ${await other.line()}`);

      // Set there. The watch brings it here; get() needs no round trip, it reads the local copy.
      other.send('greeting="Good morning"');
      await until(config, () => config.get("greeting") === "Good morning");
      say(`here:  greeting was set there, get() says ${config.get("greeting")}`);
      await other.line();

      // The server goes away and comes back. While it is away, reading goes on. Afterwards both processes read
      // the whole bucket once more, so that nothing is missed, whatever happened meanwhile.
      const reconnected = reconnect(nc);
      await restartServer();
      await reconnected;
      say(`here:  the server was restarted, get() says ${config.get("greeting")}`);
      await config.set("beta", true);
      say(`there: ${await other.lineWith("beta")}`);

      // Bad input is refused before anything is stored...
      for (const [key, value] of [
        ["", 1],
        ["page size", 1],
        ["pageSize", "many"],
        ["greeting", "x".repeat(2000)],
      ] as const) {
        await config.set(key as "greeting", value as string).catch((error) => say(`here:  ${error.message}`));
      }
      // ... and what somebody else stores past this class does not get into the local copy.
      await kv.put("pageSize", "{oops");
      await kv.put("beta", "false");
      await until(config, () => config.get("beta") === false);
      say(`here:  pageSize is still ${config.get("pageSize")}`);

      await config.delete("pageSize");
      say(`here:  pageSize deleted, get() says ${config.get("pageSize")}, its default`);
      say(`here:  all: ${JSON.stringify(config.getAll())}`);
    } finally {
      await other.kill();
      await config.close();
      await deleteBucket(nc, BUCKET);
    }
  },
};

/** Waits for a change after which the condition holds. */
function until<T extends object>(config: Config<T>, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!condition()) return;
      end();
      resolve();
    };
    const end = config.onChange(check);
    check();
  });
}

/** Resolves at the next reconnect. */
async function reconnect(nc: NatsConnection): Promise<void> {
  for await (const { type } of nc.status()) if (type === "reconnect") return;
}
