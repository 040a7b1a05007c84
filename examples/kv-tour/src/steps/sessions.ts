import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { deleteBucket } from "../bucket.js";
import type { Step } from "../tour.js";

const bucket = "tour-sessions";

/** What the session store makes of all this: every part of it can be seen with the official client. */
export const step: Step = {
  title: "what nats-session-store makes of all this",

  async run({ nc, say }) {
    await deleteBucket(nc, bucket);
    // The store creates its bucket: history 1, a TTL per key with markers, and a feed of changes.
    const store = await SessionStore.open(nc, { bucket, ttl: 1_800_000, touchAfter: 0 });
    try {
      // The feed is a plain subscription: the server repeats the headers of each write, without the value.
      const feed = nc.subscribe(`session-changes.${bucket}.>`, { max: 4 });

      const id = "VzJ0aWQ_0fYh9pXbUq7sLr3k"; // the secret that is in the cookie
      const { record } = await store.save(id, { user: "ada", visits: 1 });
      if (record === null) throw new Error("Expected the session to be stored");

      // The key holds a hash of the id, so who reads the bucket cannot take over a session.
      const key = `s.${store.handleOf(id)}`;
      const kv = await new Kvm(nc).open(bucket);
      say(`id:    ${id}`);
      say(`key:   ${key}`);
      say(`value: ${(await kv.get(key))?.string()}`);
      for (const [name, value] of await headersOf(nc, key)) say(`       ${name}: ${value}`);

      // Compare-and-set: two requests loaded the same session and changed different things. The second save
      // finds another revision, merges and saves again.
      await store.save(id, { user: "ada", visits: 2 }, { record });
      const merged = await store.save(id, { user: "ada", visits: 1, theme: "dark" }, { record });
      say(
        `Two requests save at the same time, the second is ${merged.outcome}: ${(await kv.get(key))?.string()}`,
      );

      // Logout leaves a marker, and a save that comes late does not bring the session back.
      await store.destroy(id);
      const late = await store.save(id, { user: "ada", visits: 3 }, { record });
      say(`Signed out. A request that was still running saves: ${late.outcome}`);
      say(`${key} is ${(await kv.get(key))?.operation}`);

      say("The feed had:");
      for await (const { headers } of feed) {
        const write = headers?.get("Session-Write");
        say(
          `       ${write?.padEnd(7)} revision ${headers?.get("Nats-Sequence")}, after ${headers?.get("Nats-Last-Sequence")}`,
        );
        if (write === "destroy") break;
      }
    } finally {
      await store.close();
      await deleteBucket(nc, bucket);
    }
  },
};

/** `kv.get` shows no headers; the stream under the bucket does. */
async function headersOf(nc: NatsConnection, key: string): Promise<[string, string][]> {
  const jsm = await jetstreamManager(nc);
  const message = await jsm.direct.getMessage(`KV_${bucket}`, { last_by_subj: `$KV.${bucket}.${key}` });
  if (message === null) throw new Error(`Expected ${key} to be there`);
  const names = message.header.keys().filter((name) => /^(Session|Nats-TTL)/.test(name));
  return names.map((name) => [name, message.header.get(name)]);
}
