import type { EncryptionOptions, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { encryptionBy, keyOf } from "../../support/keys.js";
import { RawBucket } from "../../support/raw-bucket.js";
import { type Data, handlesOf, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variants } from "../../support/variants.js";
import { Witness } from "../../support/witness.js";

const KEY_UNKNOWN = { code: "ERR_SESSION_KEY_UNKNOWN", message: expect.stringContaining('"k1"') };
const CORRUPT = { code: "ERR_SESSION_CORRUPT" };

const loaded = async (store: SessionStore<Data>, id: string) => {
  const record = await store.load(id);
  if (!record) throw new Error("not found");
  return record;
};

describe.each(variants().filter(({ name }) => name.startsWith("@nats-io")))(
  "over $name",
  (variant: Variant) => {
    const stores = new Stores(variant);
    afterAll(() => stores.close());

    /** A store with these keys on the bucket. */
    const open = (bucket: string, encryption?: EncryptionOptions) =>
      stores.open({ bucket, touchAfter: 0, ...(encryption ? { encryption } : {}) });

    describe.each<[string, EncryptionOptions | undefined, EncryptionOptions]>([
      ["under an older key", encryptionBy("k1"), encryptionBy("k2", "k1")],
      ["without encryption", undefined, { ...encryptionBy("k2"), allowPlain: true }],
    ])("a session that was stored %s", (_name, before, after) => {
      it.each(["save", "touch"] as const)(
        "keeps its handle and gets the first key by a %s, which the feed tells as one change",
        async (write) => {
          const bucket = newBucket();
          const [old, store] = [await open(bucket, before), await open(bucket, after)];
          await old.save("id", { user: "ada", n: 1 });
          const record = await loaded(store, "id");
          const witness = await Witness.of(store);
          const { record: next } =
            write === "save"
              ? await store.save("id", { user: "ada", n: 2 }, { record })
              : await store.touch("id", record, { ttl: 90_000_000 });
          await witness.untilRevision(next?.revision as number);
          expect(witness.of(record.handle)).toEqual([write === "save" ? "updated" : "touched"]);
          expect(next).toMatchObject({ handle: old.handleOf("id"), createdAt: record.createdAt });
          const raw = new RawBucket(await stores.connect(), bucket);
          expect((await raw.get(`s.${record.handle}`)).headers["Session-Key"]).toBe("k2");
          const unknown = { code: "ERR_SESSION_KEY_UNKNOWN", message: expect.stringContaining('"k2"') };
          await expect(old.load("id")).rejects.toMatchObject(unknown);
          await witness.stop();
        },
      );

      it("is listed, spared and ended together with sessions under the first key", async () => {
        const bucket = newBucket();
        const [old, store] = [await open(bucket, before), await open(bucket, after)];
        await old.save("one", { user: "ada" });
        await store.save("two", { user: "ada" });
        expect((await handlesOf(store, "ada")).sort()).toEqual(
          ["one", "two"].map((id) => store.handleOf(id)).sort(),
        );
        expect(await store.destroyByUser("ada", { except: store.handleOf("one") })).toBe(1);
        expect(await handlesOf(store, "ada")).toEqual([store.handleOf("one")]);
        expect(await store.destroyByHandle(store.handleOf("one"), { user: "ada" })).toBe(true);
        expect(await old.load("one")).toBeNull();
      });
    });

    it.each<[string, EncryptionOptions | undefined, object]>([
      ["another key only", encryptionBy("k2"), KEY_UNKNOWN],
      ["no encryption", undefined, KEY_UNKNOWN],
      ["another key and `allowPlain`", { ...encryptionBy("k2"), allowPlain: true }, KEY_UNKNOWN],
      ["another key with the same id", { keys: [{ ...keyOf("k2"), id: "k1" }] }, CORRUPT],
    ])(
      "a store with %s rejects loads and saves of a session, and lets it be counted and ended",
      async (_name, encryption, error) => {
        const bucket = newBucket();
        const [right, wrong] = [await open(bucket, encryptionBy("k1")), await open(bucket, encryption)];
        for (const id of ["one", "two", "three"]) await right.save(id, { user: "ada", id });
        await expect(wrong.load("one")).rejects.toMatchObject(error);
        const record = await loaded(right, "one");
        await expect(wrong.update("one", (data) => data)).rejects.toMatchObject(error);
        expect((await loaded(right, "one")).revision).toBe(record.revision);
        await expect(wrong.listByUser("ada").next()).rejects.toMatchObject(error);
        expect(await wrong.count({ exact: true })).toBe(3);
        expect(await wrong.destroyByHandle(wrong.handleOf("one"), { user: "ada" })).toBe(true);
        expect(await wrong.destroyByUser("ada")).toBe(2);
        expect(await right.count({ exact: true })).toBe(0);
      },
    );

    it("a store with keys rejects a plain session, and its error says how to move", async () => {
      const bucket = newBucket();
      const [plain, strict] = [await open(bucket), await open(bucket, encryptionBy("k1"))];
      await plain.save("id", { user: "ada" });
      const refused = { ...CORRUPT, message: expect.stringContaining("allowPlain") };
      await expect(strict.load("id")).rejects.toMatchObject(refused);
      expect(await strict.destroy("id")).toBe(true);
      expect(await plain.load("id")).toBeNull();
    });

    it("a user's sessions stay listed, limited and ended while `userKeys` is turned on, extended and shortened", async () => {
      const bucket = newBucket();
      const [a, b] = [keyOf("a").key, keyOf("b").key];
      const times: (EncryptionOptions | undefined)[] = [
        undefined,
        { userKeys: [a] },
        { userKeys: [b, a] },
        { userKeys: [b] },
      ];
      const live: string[] = [];
      for (const [n, encryption] of times.entries()) {
        const store = await open(bucket, encryption);
        // A session that is written moves to the entry of the first secret.
        for (const id of live) {
          await store.save(id, { user: "ada", n }, { record: await loaded(store, id) });
        }
        live.push(`session-${n}`);
        await store.save(`session-${n}`, { user: "ada" });
        expect((await handlesOf(store, "ada")).sort()).toEqual(live.map((id) => store.handleOf(id)).sort());
      }
      const encryption = { userKeys: [b] };
      const limited = await stores.open({ bucket, encryption, maxSessionsPerUser: 3 });
      await limited.save("session-4", { user: "ada" });
      const left = ["session-2", "session-3", "session-4"].map((id) => limited.handleOf(id));
      expect((await handlesOf(limited, "ada")).sort()).toEqual(left.sort());
      expect(await limited.destroyByUser("ada")).toBe(3);
    });
  },
);
