import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { deleteBucket, emptyBucket } from "../bucket.js";
import { Flags } from "../flags.js";
import type { Step } from "../tour.js";

const BUCKET = "tour-flags";

/** Feature flags on top of the configuration: `Flags` in src/flags.ts. */
export const step: Step = {
  title: "feature flags",

  async run({ nc, say }) {
    await emptyBucket(nc, BUCKET);
    // Two of them, as two processes would have: one serves requests, the other is an operator's.
    const served = await Flags.open(nc, { bucket: BUCKET });
    const operator = await Flags.open(nc, { bucket: BUCKET });

    // isEnabled() is synchronous, a look into the local copy: a handler can ask as often as it likes.
    const server = createServer((request, response) => {
      const user = request.headers["x-user"] as string;
      response.end(served.isEnabled("new-shop", user) ? "the new shop" : "the old shop");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const visit = async (user: string) => (await fetch(url, { headers: { "x-user": user } })).text();

    try {
      say(`nobody has set new-shop, so it is off: ann sees ${await visit("ann")}`);

      await flip(served, () => operator.enable("new-shop"));
      say(`enabled: ann sees ${await visit("ann")}`);

      await flip(served, () => operator.disable("new-shop"));
      say(`disabled: ann sees ${await visit("ann")}`);

      // A percentage: each user has a fixed place between 0 and 100, from a hash of the flag's and the user's name.
      const users = Array.from({ length: 1000 }, (_, number) => `user-${number}`);
      const enabled = () => users.filter((user) => served.isEnabled("new-shop", user));
      await flip(served, () => operator.enable("new-shop", 10));
      const first = enabled();
      say(`enabled for 10 %: ${first.length} of 1000 users have it, and the same ones when asked again`);
      await flip(served, () => operator.enable("new-shop", 30));
      const second = new Set(enabled());
      const kept = first.filter((user) => second.has(user)).length;
      say(
        `enabled for 30 %: ${second.size} of 1000 users have it, ${kept} of the first ${first.length} among them`,
      );

      await flip(served, () => operator.enable("dark-mode"));
      say(`all flags, in percent: ${JSON.stringify(served.list())}`);

      await operator.enable("new-shop", 130).catch((error) => say(`refused: ${error.message}`));
    } finally {
      server.closeAllConnections();
      server.close();
      await Promise.all([served.close(), operator.close()]);
      await deleteBucket(nc, BUCKET);
    }
  },
};

/** Changes a flag and waits until the other side knows, which takes about a millisecond. */
async function flip(seenBy: Flags, change: () => Promise<void>): Promise<void> {
  const seen = new Promise<void>((resolve) => {
    const end = seenBy.onChange(() => {
      end();
      resolve();
    });
  });
  await Promise.all([change(), seen]);
}
