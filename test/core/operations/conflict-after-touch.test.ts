import type { SaveResult, SessionRecord, SessionStore, SessionStoreOptions } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { type Data, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variantsAndShards } from "../../support/variants.js";

type Write = (
  store: SessionStore<Data>,
  data: Data,
  record: SessionRecord<Data>,
) => Promise<SaveResult<Data>>;

const writes: Record<string, Write> = {
  "A save": (store, data, record) => store.save("id", data, { record }),
  "A rotation": (store, data, record) => store.rotate("id", "new", data, { record }),
};

describe.each(variantsAndShards())(
  "what another request has stored before a touch, over $name,",
  (variant: Variant) => {
    const stores = new Stores(variant);
    afterAll(() => stores.close());

    /** The result of a write by the holder of data from before the other request's, and of a touch after it. */
    const writeAfterTouch = async (write: Write, onConflict: SessionStoreOptions["onConflict"]) => {
      const bucket = newBucket();
      const [store, other] = [
        await stores.open({ bucket, onConflict, touchAfter: 0 }),
        await stores.open({ bucket }),
      ];
      const { record } = await store.save("id", { n: 1 });
      if (!record) throw new Error("not saved");
      await other.save("id", { n: 1, theirs: 2 }, { record: (await other.load("id")) ?? undefined });
      const touched = await store.touch("id", record, { ttl: 90_000_000 });
      if (!touched.record) throw new Error("not touched");
      return { store, writing: write(store, { n: 1, ours: 3 }, touched.record) };
    };

    it.each(Object.entries(writes))("%s after it merges", async (_name, write) => {
      const { writing } = await writeAfterTouch(write, "merge");
      const data = { n: 1, ours: 3, theirs: 2 };
      expect(await writing).toMatchObject({ outcome: "merged", record: { data } });
    });

    it.each(Object.entries(writes))(
      '%s after it overwrites with `onConflict: "overwrite"`',
      async (_name, write) => {
        const { store, writing } = await writeAfterTouch(write, "overwrite");
        const { outcome, record } = await writing;
        expect(outcome).toBe("saved");
        const id = record?.handle === store.handleOf("id") ? "id" : "new";
        expect((await store.load(id))?.data).toEqual({ n: 1, ours: 3 });
      },
    );

    it.each(Object.entries(writes))(
      '%s after it rejects with `onConflict: "error"`',
      async (_name, write) => {
        const { store, writing } = await writeAfterTouch(write, "error");
        await expect(writing).rejects.toMatchObject({ code: "ERR_SESSION_CONFLICT" });
        expect((await store.load("id"))?.data).toEqual({ n: 1, theirs: 2 });
      },
    );
  },
);
