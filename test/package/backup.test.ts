import { connect, type NatsConnection } from "@nats-io/transport-node";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { warm } from "../support/cached.js";
import { backUpStream, restoreStream } from "../support/stream-backup.js";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";

// What the page on operating says of a backup, of a restore, and of what running processes do meanwhile.
let nc: NatsConnection;
let bucket: string;
let stores: SessionStore[];

beforeEach(async () => {
  nc = await connect({ servers: inject("currentServer") });
  bucket = newBucket();
  stores = [];
});

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await nc.close();
});

async function open(options: SessionStoreOptions = {}): Promise<SessionStore> {
  const store = new SessionStore(nc, { bucket, timeout: 30_000, ...options });
  stores.push(store);
  await store.ready();
  return store;
}

const remove = () => nc.request(`$JS.API.STREAM.DELETE.KV_${bucket}`, undefined, { timeout: 30_000 });

test("a backup holds what was stored when it began, and processes go on writing meanwhile", async () => {
  const store = await open();
  for (let n = 0; n < 50; n++) await store.save(`id ${n}`, { n });
  const [backup] = await Promise.all([
    backUpStream(nc, `KV_${bucket}`),
    ...Array.from({ length: 50 }, (_, n) => store.save(`later ${n}`, { n })),
  ]);
  expect(await store.count({ exact: true })).toBe(100);
  await remove();
  await restoreStream(nc, `KV_${bucket}`, backup);
  const other = await open({ createBucket: false });
  for (let n = 0; n < 50; n++) expect((await other.load(`id ${n}`))?.data).toEqual({ n });
});

test("while the bucket is away, processes with createBucket: false reject, and go on after the restore", async () => {
  await open();
  const store = await open({ createBucket: false, cache: { maxStale: 200 } });
  await store.save("kept", { n: 1 });
  await store.save("ended since", { n: 1 });
  const backup = await backUpStream(nc, `KV_${bucket}`);
  await store.destroy("ended since");
  await store.save("begun since", { n: 1 });
  await warm(store, "begun since");
  const changes = store.changes();
  await changes.ready;
  const types: string[] = [];
  const reading = (async () => {
    for await (const { type } of changes) types.push(type);
  })();

  await remove();
  const missing = { code: "ERR_SESSION_BUCKET_MISSING" };
  await expect(store.save("a new one", {})).rejects.toMatchObject(missing);
  await expect(store.check()).rejects.toMatchObject(missing);
  await restoreStream(nc, `KV_${bucket}`, backup);

  await until("the store to go on", async () => {
    const health = await store.check().catch(() => undefined);
    return health !== undefined;
  });
  expect((await store.load("kept"))?.data).toEqual({ n: 1 });
  await until("the cache to know", async () => {
    const found = await store.load("begun since").catch(() => undefined);
    return found === null;
  });
  // Why a restore is followed by ending what was ended since the backup.
  expect((await store.load("ended since"))?.data).toEqual({ n: 1 });
  await until("the feed to say that it missed something", () => types.includes("missed"));
  await changes.return();
  await reading;
});

test("a process that may create the bucket does so when it writes, and the restore is refused then", async () => {
  const store = await open();
  await store.save("kept", {});
  const backup = await backUpStream(nc, `KV_${bucket}`);
  await remove();
  await store.save("another", {});
  await expect(restoreStream(nc, `KV_${bucket}`, backup)).rejects.toThrow(/already in use|exists/);
  await remove();
  await restoreStream(nc, `KV_${bucket}`, backup);
  await until("the store to go on", async () => (await store.load("kept").catch(() => null)) !== null);
});
