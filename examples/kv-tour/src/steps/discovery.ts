import { deleteBucket } from "../bucket.js";
import { Discovery } from "../discovery.js";
import type { Step } from "../tour.js";
import { Worker } from "../worker.js";

const BUCKET = "tour-discovery";
const TTL = 2000;

/** Finding the running instances of a service: `Discovery` in src/discovery.ts. Each instance is a process. */
export const step: Step = {
  title: "service discovery",

  async run({ nc, servers, say }) {
    await deleteBucket(nc, BUCKET);
    const discovery = await Discovery.open(nc, { bucket: BUCKET });
    const workers = ["a", "b", "c"].map(
      (id) => [id, new Worker("instance", servers, BUCKET, "greeter", id, String(TTL))] as const,
    );
    const [[, a], [, b]] = workers as [(typeof workers)[0], (typeof workers)[0], (typeof workers)[0]];
    const live = () => discovery.list("greeter").map(({ id }) => id);

    try {
      // Each instance registers itself: a key greeter.<id> with a TTL of 2 s, which it renews three times in that time.
      await Promise.all(workers.map(([, worker]) => worker.lineWith("ready")));
      await until(discovery, () => live().length === 3);
      say(`three instances have registered: ${live()}`);

      // Clients pick from their local copy, without asking the server, and call the address that they get.
      for (let call = 1; call <= 4; call++) {
        const instance = discovery.pick("greeter");
        const answer = instance && (await (await fetch(instance.address)).text());
        say(`call ${call} was answered by ${answer}`);
      }

      // One is killed: it cannot say goodbye. Its key is not renewed any more, and the server removes it.
      await a.kill();
      const killed = Date.now();
      say(`a is killed, and for the moment still listed: ${live()}`);
      await until(discovery, () => live().length === 2);
      say(`gone ${((Date.now() - killed) / 1000).toFixed(1)} s later: ${live()}`);

      // One stops in good order: it takes itself out before it ends, and nobody calls it in vain.
      b.send("close");
      await until(discovery, () => live().length === 1);
      say(`b has deregistered: ${live()}`);
      say(
        `a client picks ${discovery.pick("greeter")?.id}; of a service that nobody offers: ${discovery.pick("mail")}`,
      );
    } finally {
      await Promise.all(workers.map(([, worker]) => worker.kill()));
      await discovery.close();
      await deleteBucket(nc, BUCKET);
    }
  },
};

/** Waits for a change after which the condition holds. */
function until(discovery: Discovery, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!condition()) return;
      end();
      resolve();
    };
    const end = discovery.onChange(check);
    check();
  });
}
