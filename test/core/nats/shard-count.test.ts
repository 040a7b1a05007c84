import { jetstreamManager } from "@nats-io/jetstream";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { bucketsOf, idsIn } from "../../support/shards.js";
import { Stores } from "../../support/stores.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";

const MISMATCH = "ERR_SESSION_BUCKET_MISMATCH";

const stores = new Stores({ connect: connectCurrent });
afterEach(() => stores.close());

const streamsOf = async (nc: Connection) => (await jetstreamManager(nc as never)).streams;

/** The streams of all buckets whose name begins like this. */
async function namesOf(nc: Connection, bucket: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of (await streamsOf(nc)).names())
    if (name.startsWith(`KV_${bucket}`)) names.push(name);
  return names.sort();
}

/** What a store is refused with that has another number of buckets than there are. */
const refusal = (found: number, wanted: number) => ({
  code: MISMATCH,
  message: expect.stringMatching(new RegExp(`shards: ${found}\\D.*shards: ${wanted}\\D`)),
});

describe("a number of buckets", () => {
  it.each([1, 2, 4])(
    "that is another one, %d, is refused with both numbers, and nothing is made",
    async (other) => {
      const nc = await stores.connect();
      const bucket = newBucket();
      await stores.openOn(nc, { bucket, shards: 3 });
      for (const createBucket of [true, false]) {
        const opening = stores.openOn(nc, {
          bucket,
          shards: other,
          createBucket,
          updateBucket: createBucket,
        });
        await expect(opening).rejects.toMatchObject(refusal(3, other));
      }
      expect(await namesOf(nc, bucket)).toEqual(bucketsOf(bucket, 3).map((name) => `KV_${name}`));
    },
  );

  it.each([1, 2, 4])(
    "that is another one, %d, is refused whichever of the buckets is missing, and nothing is made",
    async (other) => {
      const nc = await stores.connect();
      const streams = await streamsOf(nc);
      for (const missing of [0, 1, 2]) {
        const bucket = newBucket();
        await stores.openOn(nc, { bucket, shards: 3 });
        const names = bucketsOf(bucket, 3).map((name) => `KV_${name}`);
        const [gone = ""] = names.splice(missing, 1);
        await streams.delete(gone);
        const opening = stores.openOn(nc, { bucket, shards: other });
        await expect(opening).rejects.toMatchObject(refusal(3, other));
        expect(await namesOf(nc, bucket)).toEqual(names);
      }
    },
  );

  it.each([0, 1, 2])("is refused where bucket %d is one of another number", async (number) => {
    const nc = await stores.connect();
    const streams = await streamsOf(nc);
    const bucket = newBucket();
    await stores.openOn(nc, { bucket, shards: 3 });
    const { config } = await streams.info(`KV_${bucketsOf(bucket, 3)[number]}`);
    await streams.delete(config.name);
    const metadata = { "session-shards": "4", "session-shard": String(number) };
    await streams.add({ ...config, metadata });
    for (const createBucket of [true, false]) {
      const opening = stores.openOn(nc, { bucket, shards: 3, createBucket, updateBucket: createBucket });
      await expect(opening).rejects.toMatchObject(refusal(4, 3));
    }
  });

  it("that replaced another one while a store was open is not mixed with it", async () => {
    const nc = await stores.connect();
    const streams = await streamsOf(nc);
    const bucket = newBucket();
    const store = await stores.openOn(nc, { bucket, shards: 3 });
    onTestFinished(() => store.close());
    for (const name of bucketsOf(bucket, 3)) await streams.delete(`KV_${name}`);
    await stores.openOn(nc, { bucket, shards: 2 });
    const [id] = idsIn(store, 2, 3, 1) as [string];
    await expect(store.save(id, {})).rejects.toMatchObject(refusal(2, 3));
    expect(await namesOf(nc, bucket)).toEqual(bucketsOf(bucket, 2).map((name) => `KV_${name}`));
  });

  it("is refused where there is one bucket of its own, under the same name or the name of one of several", async () => {
    const nc = await stores.connect();
    for (const end of ["", "_0", "_1"]) {
      const bucket = newBucket();
      await stores.openOn(nc, { bucket: `${bucket}${end}` });
      const opening = stores.openOn(nc, { bucket, shards: 2 });
      await expect(opening).rejects.toMatchObject(refusal(1, 2));
    }
  });

  it("keeps one of several from being taken for a bucket of its own", async () => {
    const nc = await stores.connect();
    const bucket = newBucket();
    await stores.openOn(nc, { bucket, shards: 2 });
    const opening = stores.openOn(nc, { bucket: `${bucket}_1` });
    await expect(opening).rejects.toMatchObject(refusal(2, 1));
  });

  it("is decided once where processes with different numbers start at the same time", async () => {
    const connections = await Promise.all([1, 2, 3].map(() => stores.connect()));
    for (let round = 0; round < 5; round++) {
      const bucket = newBucket();
      const opening = [2, 3, 5].map((shards, n) =>
        stores.openOn(connections[n] as Connection, { bucket, shards }),
      );
      const results = await Promise.allSettled(opening);
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const result of results) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ code: MISMATCH });
      }
    }
  });
});
