import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPatient, PATIENCE } from "../../support/patient.js";
import { type Connection, newBucket, type Variant, variants } from "../../support/variants.js";
import { Witness } from "../../support/witness.js";

/** Header blocks that look like a server's own word, or like nothing. */
const blocks = [
  "NATS/1.0 404 No Messages\r\nSession-Format: 1\r\n\r\n",
  "NATS/1.0 408 Request Timeout\r\n\r\n",
  "NATS/1.0 503\r\n\r\n",
  "NATS/1.0 503",
  "NATS/1.0 404 x\r\nNats-Sequence: abc\r\n\r\n",
  "NATS/1.0\r\nNats-Subject: $KV.other.s.x\r\nNats-Stream: KV_other\r\nNats-Sequence: 999999\r\n\r\n",
  "HTTP/1.1 404\r\n\r\n",
  "\r\n\r\n",
];

const COUNT = 60;

describe.each(variants())(
  "entries of another application with odd headers, over $name,",
  (variant: Variant) => {
    let nc: Connection;
    let store: SessionStore;
    let witness: Witness;
    let bucket: string;

    /** Stores an entry with these bytes as its headers, as no honest client does. */
    async function put(key: string, block: string): Promise<void> {
      const headers = { encode: () => Buffer.from(block, "latin1"), size: 1 } as never;
      const { data } = await nc.request(`$KV.${bucket}.${key}`, Buffer.from("x"), {
        timeout: PATIENCE,
        headers,
      });
      expect(JSON.parse(Buffer.from(data).toString())).toHaveProperty("seq");
    }

    async function listed(list: AsyncIterable<unknown>): Promise<number> {
      let count = 0;
      for await (const _one of list) count++;
      return count;
    }

    beforeAll(async () => {
      nc = await variant.connect();
      bucket = newBucket();
      store = await openPatient(nc, { bucket, cache: true });
      witness = await Witness.of(store);
      for (let n = 0; n < COUNT; n++) await store.save(`id${n}`, { n });
      for (const [n, block] of blocks.entries()) {
        // Under the key of a session, of a session that this store is asked for, and of something else.
        await put(`s.${String(n).padStart(43, "A")}`, block);
        await put(`s.${store.handleOf(`odd${n}`)}`, block);
        await put(`other.${n}`, block);
        await store.save(`id-${n}`, { n });
      }
    });
    afterAll(async () => {
      await store.close();
      await nc.close();
    });

    const live = COUNT + blocks.length;

    it("are skipped by every list, and counted by the server's counter", async () => {
      expect(await store.count({ exact: true })).toBe(live);
      expect(await listed(store.all())).toBe(live);
      expect(await listed(store.handles())).toBe(live);
      expect(await store.count()).toBe(live + 3 * blocks.length);
    });

    it("stop no feed", async () => {
      const { record } = await store.save("last", {});
      await witness.untilRevision(record?.revision as number);
      expect(witness.seen.filter(({ type }) => type === "missed")).toEqual([]);
      await store.destroy("last");
    });

    it.each(blocks.map((_block, n) => n))(
      "are an error where a session is asked for (%i), which can be ended",
      async (n) => {
        await expect(store.load(`odd${n}`)).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
        expect(await store.destroy(`odd${n}`)).toBe(true);
        expect(await store.load(`odd${n}`)).toBeNull();
      },
    );

    it("do not keep `clear` from ending every session", async () => {
      await store.clear();
      expect(await store.count({ exact: true })).toBe(0);
      expect(await Promise.all(blocks.map((_block, n) => store.load(`id-${n}`)))).toEqual(
        blocks.map(() => null),
      );
    });
  },
);
