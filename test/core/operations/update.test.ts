import type { SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { Gate } from "../../support/gate.js";
import { type Data, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variants } from "../../support/variants.js";

describe.each(variants())("update over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const count = (data: Data) => ({ ...data, n: Number(data.n ?? 0) + 1 });

  it("stores what the function makes of the data, in place or as other data, and gives the record", async () => {
    const store = await stores.open();
    await store.save("id", { n: 1 });
    const { outcome, record } = await store.update("id", (data) => {
      data.n = 2;
    });
    expect({ outcome, data: record?.data }).toEqual({ outcome: "saved", data: { n: 2 } });
    expect((await store.update("id", async (data) => ({ ...data, other: 3 }))).record?.data).toEqual({
      n: 2,
      other: 3,
    });
    expect((await store.load("id"))?.data).toEqual({ n: 2, other: 3 });
  });

  it("of no session, or of one that is destroyed meanwhile, is gone", async () => {
    const [one, other] = await stores.openTwo();
    expect(await one.update("id", count)).toEqual({ outcome: "gone", record: null });
    await one.save("id", {});
    const result = await one.update("id", async (data) => {
      await other.destroy("id");
      return count(data);
    });
    expect(result).toEqual({ outcome: "gone", record: null });
    expect(await other.load("id")).toBeNull();
  });

  it("counts each time when several processes count at the same time, many times each", async () => {
    const bucket = newBucket();
    const several: SessionStore<Data>[] = [];
    for (let n = 0; n < 3; n++) several.push(await stores.open({ bucket }));
    await several[0]?.save("id", {});
    await Promise.all(
      several.flatMap((store) => Array.from({ length: 40 }, () => store.update("id", count))),
    );
    expect((await several[0]?.load("id"))?.data).toEqual({ n: 120 });
  });

  it("leaves the expiry as it is, also that of a touch which comes between", async () => {
    const bucket = newBucket();
    const other = await stores.open({ bucket, touchAfter: 0 });
    const gate = new Gate(await stores.connect());
    const store = await stores.openOn(gate.connection, { bucket });
    const { record } = await other.save("id", {}, { ttl: 600_000 });
    if (!record) throw new Error("not saved");
    expect((await store.update("id", count)).record?.expiresAt).toBe(record.expiresAt);
    const loaded = await other.load("id");
    gate.hold((subject) => subject.endsWith(`.s.${record.handle}`) && subject.startsWith("$KV."));
    const updating = store.update("id", count);
    await gate.holding();
    const touched = await other.touch("id", loaded as never, { ttl: 6_000_000 });
    expect(touched.outcome).toBe("touched");
    gate.release();
    expect((await updating).record).toMatchObject({
      data: { n: 2 },
      expiresAt: touched.record?.expiresAt,
    });
  });

  it("rejects with what the function throws, and stores nothing", async () => {
    const store = await stores.open();
    await store.save("id", { n: 1 });
    const failing = store.update("id", (data) => {
      data.n = 2;
      throw new RangeError("no");
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect((await store.load("id"))?.data).toEqual({ n: 1 });
  });
});
