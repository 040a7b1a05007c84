import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopClock } from "../../support/clock.js";
import { encryptionBy } from "../../support/keys.js";
import { openPatient } from "../../support/patient.js";
import { putEntry } from "../../support/put-entry.js";
import { RawBucket } from "../../support/raw-bucket.js";
import { type Connection, newBucket, type Variant, variants } from "../../support/variants.js";

const SECRET = "a word that stands nowhere";

describe.each(variants().filter(({ name }) => name.startsWith("@nats-io")))(
  "an encrypted session over $name",
  (variant: Variant) => {
    let nc: Connection;
    let store: SessionStore;
    let raw: RawBucket;
    const bucket = newBucket();
    const options = { bucket, touchAfter: 0, user: (data: { user?: string }) => data.user };
    const keyOf = (id: string) => `s.${store.handleOf(id)}`;

    beforeAll(async () => {
      nc = await variant.connect();
      store = await openPatient(nc, { ...options, encryption: encryptionBy("k1") });
      raw = new RawBucket(nc, bucket);
    });
    afterAll(async () => {
      await store.close();
      await nc.close();
    });

    it("is read as it was saved, and no part of it is readable in the bucket", async () => {
      const data = { user: "ada@example.org", word: SECRET };
      await store.save("plain-looking-id", data);
      expect((await store.load("plain-looking-id"))?.data).toEqual(data);
      const { headers, value } = await raw.get(keyOf("plain-looking-id"));
      expect(headers["Session-Key"]).toBe("k1");
      expect(value.length).toBe(12 + 16 + JSON.stringify(data).length);
      const everything = [Buffer.from(value).toString("latin1"), JSON.stringify(headers), keyOf("x")].join();
      for (const text of [SECRET, "ada", "plain-looking-id"]) expect(everything).not.toContain(text);
    });

    it("has another value after each write, also when no data changed", async () => {
      const { record } = await store.save("again", { n: 1 });
      const first = await raw.get(keyOf("again"));
      // A touch that gives no later time stores nothing.
      stopClock().advance(1000);
      await store.touch("again", record as never);
      const second = await raw.get(keyOf("again"));
      expect(Buffer.from(second.value).equals(first.value)).toBe(false);
      expect((await store.load("again"))?.data).toEqual({ n: 1 });
    });

    describe("is corrupt", () => {
      const refused = async (id: string) => {
        await expect(store.load(id)).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
      };
      const begin = async (id: string) => {
        await store.save(id, { user: "ada", id }, { ttl: 60_000 });
        return raw.get(keyOf(id));
      };

      it("under the key of another session", async () => {
        const one = await begin("swap-1");
        const two = await begin("swap-2");
        await raw.put(keyOf("swap-1"), two);
        await raw.put(keyOf("swap-2"), one);
        await refused("swap-1");
        await refused("swap-2");
      });

      it("under the key of another session although it says that it is that session", async () => {
        const one = await begin("posing-1");
        await begin("posing-2");
        const posing = { ...one.headers, "Nats-Subject": `$KV.${bucket}.${keyOf("posing-1")}` };
        const list = Object.entries(posing).filter(
          ([name]) => !name.startsWith("Nats-") || name === "Nats-Subject",
        );
        await putEntry(nc, bucket, keyOf("posing-2"), one.value, Object.fromEntries(list));
        await refused("posing-2");
      });

      it("with the value of an earlier write and the headers of a later one", async () => {
        const before = await begin("mixed");
        await store.save("mixed", { n: 2 });
        const after = await raw.get(keyOf("mixed"));
        await raw.put(keyOf("mixed"), { headers: after.headers, value: before.value });
        await refused("mixed");
      });

      it.each([
        ["Session-Created", (text: string) => String(Number(text) + 1000)],
        ["Session-Expires", (text: string) => String(Number(text) + 60_000)],
        ["Session-Write", () => "touch"],
        ["Session-User", () => "A".repeat(43)],
        ["Session-Index", (text: string) => text.replace(/^\d+/, "1")],
      ])("with another value of %s", async (name, change) => {
        const id = `changed ${name}`;
        const { headers, value } = await begin(id);
        await raw.put(keyOf(id), { value, headers: { ...headers, [name]: change(headers[name] ?? "") } });
        await refused(id);
      });

      it("with a header of the store that it was not stored with, and not with one of another application", async () => {
        const { headers, value } = await begin("added");
        await raw.put(keyOf("added"), { headers: { ...headers, "X-Other": "yes" }, value });
        expect((await store.load("added"))?.data).toEqual({ user: "ada", id: "added" });
        await raw.put(keyOf("added"), { headers: { ...headers, "Session-Later": "yes" }, value });
        await refused("added");
      });

      it("without its user", async () => {
        const { headers, value } = await begin("unowned");
        const { "Session-User": _owner, "Session-Index": _index, ...others } = headers;
        await raw.put(keyOf("unowned"), { headers: others, value });
        await refused("unowned");
      });

      it("with a flipped bit anywhere, cut short or made longer", async () => {
        const { headers, value } = await begin("damaged");
        const turned = [0, 11, 12, 27, 28, value.length - 1].map((at) => {
          const bytes = Buffer.from(value);
          bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
          return bytes;
        });
        const cut = [0, 1, 12, 27, 28, value.length - 1].map((length) => value.subarray(0, length));
        for (const bytes of [...turned, ...cut, Buffer.concat([value, value])]) {
          await raw.put(keyOf("damaged"), { headers, value: bytes });
          await refused("damaged");
        }
        expect(await store.destroy("damaged")).toBe(true);
        expect(await store.load("damaged")).toBeNull();
      });

      it("and hides no other session from a listing", async () => {
        const { headers, value } = await begin("in a list");
        await raw.put(keyOf("in a list"), { headers, value: value.subarray(1) });
        await store.save("beside it", { user: "ada", mine: true });
        const all: unknown[] = [];
        for await (const { data } of store.all()) all.push(data);
        expect(all).toContainEqual({ user: "ada", mine: true });
        const listed: unknown[] = [];
        const reading = (async () => {
          for await (const { data } of store.listByUser("ada")) listed.push(data);
        })();
        await expect(reading).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
        expect(listed).toContainEqual({ user: "ada", mine: true });
      });
    });
  },
);
