import { jetstreamManager } from "@nats-io/jetstream";
import type { SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { statsOf, warm } from "../../support/cached.js";
import { bucketsOf, idsIn } from "../../support/shards.js";
import { type Data, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variantsAndShards } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

describe.each(variantsAndShards())("a purge over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const { shards = 1 } = variant;

  /** The stream of a store's first bucket. */
  const streamOf = async (bucket: string) => {
    const { streams } = await jetstreamManager((await stores.connect()) as never);
    return { streams, config: (await streams.info(`KV_${bucketsOf(bucket, shards)[0]}`)).config };
  };

  /** A bucket as others make it, which allows purges: the first of several. */
  const purgeable = async () => {
    const bucket = newBucket();
    const first = await stores.open({ bucket });
    const { streams, config } = await streamOf(bucket);
    await streams.delete(config.name);
    await streams.add({ ...config, deny_purge: false });
    const [writer, cached] = await Promise.all([
      stores.open({ bucket }),
      stores.open({ bucket, cache: { maxStale: 500 } }),
    ]);
    await first.close();
    const witness = await Witness.of(cached);
    const subject = (pattern: string) => `$KV.${bucketsOf(bucket, shards)[0]}.${pattern}`;
    /** @param pattern of the keys; all where there is none */
    const purge = (pattern?: string) =>
      streams.purge(config.name, pattern ? { filter: subject(pattern) } : undefined);
    const ids = idsIn(writer, 0, shards, 3) as [string, string, string];
    return { ids, writer, cached, witness, purge };
  };

  const untilMissed = (witness: Witness) =>
    until("that changes were missed", () => witness.seen.some(({ type }) => type === "missed"));

  const untilGone = (store: SessionStore<Data>, id: string) =>
    until(`the end of ${id}`, async () => (await store.load(id)) === null);

  // Newer servers clear `deny_purge` where expiries leave a tombstone, which the feed needs.
  if (!variant.ttls) {
    it("is refused by the buckets that a store makes, whole and by subject", async () => {
      const bucket = newBucket();
      const store = await stores.open({ bucket });
      await store.save("id", {});
      const { streams, config } = await streamOf(bucket);
      for (const options of [undefined, { filter: `$KV.${bucket}.s.>` }]) {
        await expect(streams.purge(config.name, options)).rejects.toThrow(/not permitted/);
      }
      expect(await store.load("id")).not.toBeNull();
    });
  }

  it.each([
    ["whole", undefined],
    ["by subject", "s.>"],
  ])(
    "where the bucket allows it, %s, is `missed`, and no cache serves what it removed",
    async (_name, pattern) => {
      const { ids, writer, cached, witness, purge } = await purgeable();
      const [one, two, later] = ids;
      await writer.save(one, { user: "ada" });
      await writer.save(two, { n: 1 });
      const reasons: string[] = [];
      cached.onEnded(cached.handleOf(two), ({ reason }) => reasons.push(reason));
      await warm(cached, one);
      await warm(cached, two);
      await purge(pattern);
      for (const id of [one, two]) await untilGone(cached, id);
      await untilMissed(witness);
      await until("that the listener was called", () => reasons.length > 0);
      const { record } = await writer.save(later, {});
      await witness.untilRevision(record?.revision as number);
      await warm(cached, later);
      await witness.stop();
    },
  );

  it("of the session that was written first is noticed too, and sessions that stay are served on", async () => {
    const { ids, writer, cached, witness, purge } = await purgeable();
    const [purged, stays] = ids;
    await writer.save(purged, { n: 0 });
    await writer.save(stays, { n: 1 });
    for (const id of [purged, stays]) await warm(cached, id);
    await purge(`s.${cached.handleOf(purged)}`);
    await untilGone(cached, purged);
    await untilMissed(witness);
    await warm(cached, stays);
    expect((await cached.load(stays))?.data).toEqual({ n: 1 });
    expect(statsOf(cached).size).toBe(1);
    await witness.stop();
  });

  it("is not seen in writes that move the first number of a bucket on", async () => {
    const { writer, cached, witness } = await purgeable();
    const ids = Array.from({ length: 20 }, (_, n) => `id-${n}`);
    for (let round = 0; round < 10; round++) {
      await Promise.all(ids.map((id) => cached.load(id)));
      await Promise.all(ids.map((id) => writer.save(id, { round })));
      await Promise.all(ids.slice(0, 5).map((id) => writer.destroy(id)));
    }
    await witness.untilEndOf(writer, shards);
    await warm(cached, "id-19");
    expect(witness.seen).toHaveLength(witness.changes.length);
    await witness.stop();
  });
});
