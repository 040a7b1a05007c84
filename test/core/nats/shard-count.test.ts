import { jetstreamManager } from "@nats-io/jetstream";
import { afterEach, describe, expect, it } from "vitest";
import { bucketsOf } from "../../support/shards.js";
import { Stores } from "../../support/stores.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";

const MISMATCH = "ERR_SESSION_BUCKET_MISMATCH";

const stores = new Stores({ connect: connectCurrent });
afterEach(() => stores.close());

const streamsOf = async (nc: Connection) => (await jetstreamManager(nc as never)).streams;

const all = async <T>(list: AsyncIterable<T>): Promise<T[]> => {
  const items: T[] = [];
  for await (const item of list) items.push(item);
  return items;
};

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
        const message = expect.stringMatching(new RegExp(`shards: 3.*shards: ${other}`));
        await expect(opening).rejects.toMatchObject({ code: MISMATCH, message });
      }
      const names = (await all((await streamsOf(nc)).names())).filter((name) => name.includes(bucket));
      expect(names.sort()).toEqual(bucketsOf(bucket, 3).map((name) => `KV_${name}`));
    },
  );

  it("is refused where there is one bucket of its own, under the same name or the name of one of several", async () => {
    const nc = await stores.connect();
    for (const end of ["", "_0", "_1"]) {
      const bucket = newBucket();
      await stores.openOn(nc, { bucket: `${bucket}${end}` });
      const opening = stores.openOn(nc, { bucket, shards: 2 });
      const message = expect.stringMatching(/shards: 1.*shards: 2/);
      await expect(opening).rejects.toMatchObject({ code: MISMATCH, message });
    }
  });

  it("keeps one of several from being taken for a bucket of its own", async () => {
    const nc = await stores.connect();
    const bucket = newBucket();
    await stores.openOn(nc, { bucket, shards: 2 });
    const opening = stores.openOn(nc, { bucket: `${bucket}_1` });
    const message = expect.stringMatching(/shards: 2.*shards: 1/);
    await expect(opening).rejects.toMatchObject({ code: MISMATCH, message });
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
