import { jetstreamManager } from "@nats-io/jetstream";
import type { SessionStoreOptions } from "nats-session-store";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { statsOf, warm } from "../../support/cached.js";
import { idsIn } from "../../support/shards.js";
import { Stores } from "../../support/stores.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

const MISSING = "ERR_SESSION_BUCKET_MISSING";

const stores = new Stores({ connect: connectCurrent });
afterEach(() => stores.close());

const streamsOf = async (nc: Connection) => (await jetstreamManager(nc as never)).streams;

describe("one of several buckets that is gone", () => {
  const start = async (options: SessionStoreOptions = {}) => {
    const nc = await stores.connect();
    const bucket = newBucket();
    const create = () => stores.openOn(nc, { bucket, shards: 3 });
    const creator = await create();
    const store = await stores.openOn(nc, { bucket, shards: 3, createBucket: false, ...options });
    const [here, gone] = [idsIn(store, 0, 3, 2), idsIn(store, 1, 3, 2)];
    for (const id of [...here, ...gone]) await creator.save(id, { id });
    await creator.close();
    const remove = async () => (await streamsOf(nc)).delete(`KV_${bucket}_1`);
    return { nc, bucket, store, here, gone, remove, create };
  };

  it("leaves the sessions in the others as they are, and is used again when it is back", async () => {
    const { store, here, gone, remove, create } = await start();
    await remove();
    for (const id of gone) await expect(store.load(id)).rejects.toMatchObject({ code: MISSING });
    for (const id of here) {
      const record = await store.load(id);
      expect(record?.data).toEqual({ id });
      expect((await store.save(id, { id, again: true }, { record: record ?? undefined })).outcome).toBe(
        "saved",
      );
    }
    await expect(store.count()).rejects.toMatchObject({ code: MISSING });
    await create();
    await until("the bucket to be back", async () => {
      const saved = await store.save(gone[0] as string, {}).catch(() => undefined);
      return saved?.outcome === "saved";
    });
    expect(await store.load(gone[1] as string)).toBeNull();
    expect(await store.count({ exact: true })).toBe(3);
  });

  it("is created again where it may be, with a warning that names it", async () => {
    const { store, here, gone, bucket, remove } = await start({ createBucket: true });
    const warnings: string[] = [];
    const onWarning = (warning: Error & { code?: string }) => {
      if (warning.code === "NATS_SESSION_BUCKET_CREATED") warnings.push(warning.message);
    };
    process.on("warning", onWarning);
    onTestFinished(() => void process.off("warning", onWarning));
    await remove();
    expect(await store.load(gone[0] as string)).toBeNull();
    expect((await store.load(here[0] as string))?.data).toEqual({ id: here[0] });
    await until("the warning", () => warnings.length > 0);
    expect(warnings).toEqual([expect.stringContaining(`${bucket}_1`)]);
  });

  it("empties the near cache of its own sessions only", async () => {
    const { store, here, gone, nc, bucket, remove } = await start({
      createBucket: true,
      cache: { maxStale: 60_000 },
    });
    for (const id of [here[0] as string, gone[0] as string]) await warm(store, id);
    const witness = await Witness.of(store);
    await remove();
    const other = await stores.openOn(nc, { bucket, shards: 3 });
    await other.save(gone[1] as string, {});
    await until("missed", () => witness.seen.some(({ type }) => type === "missed"));
    expect(await store.load(gone[0] as string)).toBeNull();
    const { hits } = statsOf(store);
    expect((await store.load(here[0] as string))?.data).toEqual({ id: here[0] });
    expect(statsOf(store).hits).toBe(hits + 1);
  });
});
