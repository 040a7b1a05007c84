import type { SessionRecord, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { Gate } from "../../support/gate.js";
import { openPatient } from "../../support/patient.js";
import { isSessionWrite } from "../../support/shards.js";
import { type Data, Stores } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";

describe.each([
  { cache: false, shards: 1 },
  { cache: true, shards: 1 },
  { cache: true, shards: 3 },
])(
  "a load that begins after a write of this process, with the cache $cache in $shards buckets",
  ({ cache, shards }) => {
    const stores = new Stores({ connect: connectCurrent });
    afterAll(() => stores.close());

    /** A store that holds back what it sends to its bucket, and a session of it that it has loaded. */
    const begin = async () => {
      const gate = new Gate(await stores.connect());
      const store: SessionStore<Data> = await openPatient<Data>(gate.connection, {
        bucket: newBucket(),
        cache,
        shards,
        touchAfter: 0,
      });
      await store.save("id", { n: 1 });
      const record = (await store.load("id")) as SessionRecord<Data>;
      const holdWrites = () => gate.hold(isSessionWrite);
      return { gate, store, record, holdWrites };
    };

    it.each([
      [
        "a save",
        (store: SessionStore<Data>, record: SessionRecord<Data>) => store.save("id", { n: 2 }, { record }),
        { n: 2 },
      ],
      ["an update", (store: SessionStore<Data>) => store.update("id", () => ({ n: 2 })), { n: 2 }],
      ["a destroy", (store: SessionStore<Data>) => store.destroy("id"), undefined],
      [
        "a destroy by handle",
        (store: SessionStore<Data>, record: SessionRecord<Data>) => store.destroyByHandle(record.handle),
        undefined,
      ],
      [
        "a rotation",
        (store: SessionStore<Data>, record: SessionRecord<Data>) =>
          store.rotate("id", "new", { n: 2 }, { record }),
        undefined,
      ],
    ])("waits for %s that is on its way", async (_what, write, expected) => {
      const { gate, store, record, holdWrites } = await begin();
      holdWrites();
      const writing = write(store, record);
      await gate.holding();
      const loading = store.load("id");
      gate.release();
      expect((await loading)?.data).toEqual(expected);
      await writing;
    });

    it("waits for a touch, and sees its later expiry", async () => {
      const { gate, store, record, holdWrites } = await begin();
      holdWrites();
      const touching = store.touch("id", record, { ttl: 200_000_000 });
      await gate.holding();
      const loading = store.load("id");
      gate.release();
      expect((await loading)?.expiresAt).toBeGreaterThan(record.expiresAt);
      await touching;
    });

    it("waits for a destroy that waits for a save itself", async () => {
      const { gate, store, record, holdWrites } = await begin();
      holdWrites();
      const saving = store.save("id", { n: 2 }, { record });
      await gate.holding();
      const destroying = store.destroy("id");
      const loading = store.load("id");
      gate.release();
      expect(await loading).toBeNull();
      expect(await destroying).toBe(true);
      expect((await saving).outcome).toBe("saved");
    });

    it("finds the session under the new id of a rotation that waits for a save", async () => {
      const { gate, store, record, holdWrites } = await begin();
      holdWrites();
      const saving = store.save("id", { n: 2 }, { record });
      await gate.holding();
      const rotating = store.rotate("id", "new", { n: 1, user: "ada" }, { record });
      const loading = [store.load("id"), store.load("new")];
      gate.release();
      expect((await Promise.all(loading)).map((loaded) => loaded?.data)).toEqual([
        undefined,
        { n: 2, user: "ada" },
      ]);
      expect((await rotating).outcome).toBe("merged");
      await saving;
    });

    it("never sees what was before, whenever it begins", async () => {
      const store = await stores.open({ cache, shards });
      for (let n = 0; n < 100; n++) {
        const { record } = await store.save(`${n}`, { n: 1 });
        const saving = store.save(`${n}`, { n: 2 }, { record: record ?? undefined });
        for (let turn = 0; turn < n % 4; turn++) await new Promise(setImmediate);
        expect((await store.load(`${n}`))?.data).toEqual({ n: 2 });
        await saving;
        const destroying = store.destroy(`${n}`);
        for (let turn = 0; turn < n % 4; turn++) await new Promise(setImmediate);
        expect(await store.load(`${n}`)).toBeNull();
        await destroying;
      }
    });
  },
);
