import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, describe, expect, it } from "vitest";
import { openPatient } from "../../support/patient.js";
import { Stores } from "../../support/stores.js";
import { connectCurrent, newBucket, type Variant, variants } from "../../support/variants.js";

const CLIENTS = 32;
const TIMES = 25;

describe("saves of one session at the same time", () => {
  it(`lose nothing when ${CLIENTS} processes count in a key of their own each`, async () => {
    const bucket = newBucket();
    const connections = await Promise.all(Array.from({ length: CLIENTS }, () => connectCurrent()));
    const stores = await Promise.all(
      connections.map((nc) => openPatient<Record<string, number>>(nc, { bucket, timeout: 60_000 })),
    );
    const id = "counted";
    await stores[0]?.save(id, {});
    await Promise.all(
      stores.map(async (store, n) => {
        for (let time = 0; time < TIMES; time++) {
          const record = await store.load(id);
          if (!record) throw new Error("The session is not there");
          record.data[`key ${n}`] = (record.data[`key ${n}`] ?? 0) + 1;
          expect((await store.save(id, record.data, { record })).outcome).not.toBe("gone");
        }
      }),
    );
    const expected = Object.fromEntries(stores.map((_, n) => [`key ${n}`, TIMES]));
    expect((await stores[0]?.load(id))?.data).toEqual(expected);
    await Promise.all(stores.map((store) => store.close()));
    await Promise.all(connections.map((nc) => nc.close()));
  });

  it("are merged again where the session changes while `resolve` decides", async () => {
    const nc = await connectCurrent();
    const bucket = newBucket();
    const other = await openPatient(nc, { bucket });
    const store = await openPatient(nc, {
      bucket,
      resolve: async (_key, { base, ours, theirs }) => {
        if (theirs === 11) await other.save("id", { count: 12, other: 1 }, { record: current ?? undefined });
        return Number(ours) + Number(theirs) - Number(base);
      },
    });
    const { record } = await store.save("id", { count: 1 });
    const { record: current } = await other.save("id", { count: 11 });
    const merged = await store.save("id", { count: 101 }, { record: record ?? undefined });
    expect(merged).toMatchObject({ outcome: "merged", record: { data: { count: 112, other: 1 } } });
    await Promise.all([store.close(), other.close()]);
    await nc.close();
  });

  it("fail with a code and change nothing where the other side's data cannot be serialised", async () => {
    const nc = await connectCurrent();
    const bucket = newBucket();
    const other = await openPatient(nc, { bucket });
    // As a stack overflow in JSON.stringify does for very deep nesting, on some machines.
    const stringify = (data: object) => {
      if ("deep" in data) throw new RangeError("Maximum call stack size exceeded");
      return JSON.stringify(data);
    };
    const store = await openPatient(nc, { bucket, serializer: { stringify, parse: JSON.parse } });
    await other.save("id", { n: 0 });
    const [ours, theirs] = [await store.load("id"), await other.load("id")];
    await other.save("id", { n: 0, deep: [] }, { record: theirs ?? undefined });
    await expect(store.save("id", { n: 1 }, { record: ours ?? undefined })).rejects.toMatchObject({
      code: "ERR_SESSION_SERIALIZE",
    });
    expect((await other.load("id"))?.data).toEqual({ n: 0, deep: [] });
    await Promise.all([store.close(), other.close()]);
    await nc.close();
  });
});

describe.each(variants())("a save over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const limit = async (bucket: string, max_msg_size: number) => {
    const manager = await jetstreamManager((await stores.connect()) as never);
    await manager.streams.update(`KV_${bucket}`, { max_msg_size });
  };
  const large = { text: "x".repeat(2000) };

  it("fails in a full bucket, except of a stored session from 2.11 on, and destroys make room", async () => {
    const store = await stores.open({ maxBytes: 40_000 });
    const fill = async () => {
      for (let n = 0; ; n++) await store.save(`${n}`, large);
    };
    await expect(fill()).rejects.toMatchObject({
      code: "ERR_SESSION_BUCKET_FULL",
      message: expect.stringMatching(/maxBytes/),
    });
    const record = (await store.load("0")) ?? undefined;
    expect(record?.data).toEqual(large);
    // Servers before 2.11 count both the old value and the new one.
    const saving = store.save("0", large, { record });
    if (variant.ttls) expect((await saving).outcome).toBe("saved");
    else await expect(saving).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_FULL" });
    for (const id of ["0", "1"]) expect(await store.destroy(id)).toBe(true);
    expect((await store.save("again", large)).outcome).toBe("saved");
  });

  it.each([
    ["before", / 2011 bytes.* allows 1\d{3}\b/],
    ["after", / 2011 bytes/],
  ])("larger than a limit that the bucket got %s the opening fails with the size", async (when, message) => {
    const bucket = newBucket();
    await stores.open({ bucket });
    if (when === "before") await limit(bucket, 1600);
    const store = await stores.open({ bucket });
    const { record } = await store.save("id", { n: 1 });
    if (when === "after") await limit(bucket, 1600);
    const saving = store.save("id", large, { record: record ?? undefined });
    await expect(saving).rejects.toMatchObject({ code: "ERR_SESSION_TOO_LARGE" });
    await expect(saving).rejects.toThrow(message);
    await expect(saving).rejects.not.toThrow(/-\d/);
    expect((await store.load("id"))?.data).toEqual({ n: 1 });
  });

  it("fails where the limit is far too small, and a destroy still works", async () => {
    const bucket = newBucket();
    await (await stores.open({ bucket })).save("id", { n: 1 });
    await limit(bucket, 400);
    const store = await stores.open({ bucket });
    expect(await store.destroy("id")).toBe(true);
    await expect(store.save("id", large)).rejects.not.toThrow(/-\d/);
  });
});
