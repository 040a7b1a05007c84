import type { SessionRecord, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { Gate } from "../../support/gate.js";
import { type Data, handlesOf, Stores, user } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";

/** A request without an answer for a quarter of this is looked after, and sent again (ms). */
const TIMEOUT = 8000;

type Operation = (store: SessionStore<Data>, record: SessionRecord<Data>) => Promise<unknown>;

const operations: Record<string, Operation> = {
  save: (store, record) => store.save("id", { user: "ada", n: 2 }, { record }),
  touch: (store, record) => store.touch("id", record, { ttl: 90_000_000 }),
  update: (store) => store.update("id", (data) => ({ ...data, n: 2 })),
  rotate: (store, record) => store.rotate("id", "new", { user: "ada", n: 2 }, { record }),
  destroy: (store) => store.destroy("id"),
  "sign-in": (store) => store.save("new", { user: "ada" }),
};

/** What happens between the answer of the operation and the arrival of its first copy. */
const sequels: Record<string, (store: SessionStore<Data>) => Promise<unknown>> = {
  "is written again": async (store) => {
    for (const id of ["id", "new"]) {
      const record = await store.load(id);
      if (record) await store.save(id, { user: "ada", n: 3 }, { record });
    }
  },
  "is destroyed": (store) => Promise.all(["id", "new"].map((id) => store.destroy(id))),
  "is rotated": async (store) => {
    for (const id of ["id", "new"]) {
      const record = await store.load(id);
      if (record) await store.rotate(id, `${id} rotated`, record.data, { record });
    }
  },
};

describe("a write whose first copy arrives late", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  it.concurrent.each(
    Object.keys(operations).flatMap((name) => Object.keys(sequels).map((sequel) => [name, sequel] as const)),
  )("of a %s changes nothing when the session %s meanwhile", async (name, sequel) => {
    const bucket = newBucket();
    const other = await stores.open({ bucket });
    const gate = new Gate(await stores.connect());
    const store = await stores.openOn(gate.connection, { bucket, user, touchAfter: 0, timeout: TIMEOUT });
    await store.save("id", { user: "ada", n: 1 });
    const record = await store.load("id");
    if (!record) throw new Error("not saved");
    // Only the first copy of the first write is held back.
    let held = 0;
    gate.hold((subject) => subject.startsWith(`$KV.${bucket}.s.`) && held++ === 0);
    await operations[name]?.(store, record);
    expect(held).toBeGreaterThan(1);
    await sequels[sequel]?.(other);
    const all = async () => {
      const ids = ["id", "new", "id rotated", "new rotated"];
      const loaded = await Promise.all(ids.map((id) => other.load(id)));
      return { data: loaded.map((one) => one?.data), listed: (await handlesOf(other, "ada")).sort() };
    };
    const before = await all();
    gate.release();
    // The server takes in what one connection sends in its order.
    await store.save("flush", {});
    expect(await all()).toEqual(before);
  });
});
