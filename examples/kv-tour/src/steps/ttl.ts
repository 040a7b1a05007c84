import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import { deleteBucket, emptyBucket } from "../bucket.js";
import type { Step } from "../tour.js";

/** Keys that end by themselves: the bucket's TTL for all of them, and one for a single key (server 2.11). */
export const step: Step = {
  title: "keys that expire",

  async run({ nc, say }) {
    const kv = await emptyBucket(nc, "tour-ttl", {
      ttl: 5_000, // no key outlives its last write by more than this
      // Allows a TTL for each key, and makes the server leave a marker where one has expired. The markers
      // themselves are removed after this much, here a minute.
      markerTTL: 60_000,
    });
    try {
      // A server before 2.11 takes the setting without a word and does nothing: look whether it is there.
      const { markerTTL } = await kv.status();
      if (markerTTL === 0) throw new Error("A TTL for a key needs nats-server 2.11 or later");

      const start = Date.now();
      /** What a key has, and when that was known. */
      const look = async (key: string) => {
        const found = await show(kv, key);
        return `after ${((Date.now() - start) / 1000).toFixed(1)} s: ${found}`;
      };

      // The third argument is called markerTTL, and is the key's TTL: whole seconds, at least one.
      await kv.create("code", "471193", "2s");
      await kv.create("note", "draft", "2s");
      // A TTL belongs to a value, not to a key: this write has none, so only the bucket's TTL counts for it.
      // To renew a TTL, write with one: jetstream(nc).publish("$KV.tour-ttl.note", value, { ttl: "2s" }).
      await kv.put("note", "final");

      await sleep(1_000);
      say(`code, TTL 2 s, ${await look("code")}`);

      await expired(kv, "code");
      say(`code, TTL 2 s, ${await look("code")}`);
      say(`note, written again without a TTL, ${await look("note")}`);

      // The marker is a message without a value. A watch reports it as a purge; its headers tell why.
      const jsm = await jetstreamManager(nc);
      const marker = await jsm.streams.getMessage("KV_tour-ttl", { last_by_subj: "$KV.tour-ttl.code" });
      say(`The marker of code: Nats-Marker-Reason: ${marker?.header.get("Nats-Marker-Reason")}`);
      say(`                    Nats-TTL: ${marker?.header.get("Nats-TTL")}`);

      await expired(kv, "note");
      say(`note, bucket TTL 5 s, ${await look("note")}`);
    } finally {
      await deleteBucket(nc, "tour-ttl");
    }
  },
};

async function show(kv: KV, key: string): Promise<string> {
  const entry = await kv.get(key);
  return entry?.operation === "PUT" ? entry.string() : "gone";
}

/** Waits for the marker of a key. The server removes what is due about once a second. */
async function expired(kv: KV, key: string): Promise<void> {
  for await (const { operation } of await kv.watch({ key })) if (operation === "PURGE") return;
}
