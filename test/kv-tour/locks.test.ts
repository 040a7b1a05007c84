import { type KV, Kvm } from "@nats-io/kv";
import { type Lock, Locks, writeFenced } from "example-kv-tour";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { newBucket } from "../support/variants.js";
import { until, untilTime } from "../support/wait.js";
import { type OwnServer, reconnected, startOwnServer, stateOf, take, Worker } from "./support.js";

let own: OwnServer;
const taken: Lock[] = [];
const workers: Worker[] = [];

beforeAll(async () => {
  own = await startOwnServer();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
  await Promise.all(taken.splice(0).map((lock) => lock.release()));
});
afterAll(() => own?.stop());

async function open(): Promise<{ locks: Locks; kv: KV; bucket: string }> {
  const bucket = newBucket();
  const locks = await Locks.open(own.nc, { bucket });
  return { locks, kv: await new Kvm(own.nc).open(bucket), bucket };
}

async function acquire(locks: Locks, name: string, ttl: number, wait = 0): Promise<Lock> {
  const lock = await locks.acquire(name, { ttl, wait });
  if (!lock) throw new Error(`The lock ${name} is taken`);
  taken.push(lock);
  return lock;
}

test("one of many gets it, the others nothing; other locks are free", async () => {
  const { locks } = await open();
  const tries = await Promise.all(Array.from({ length: 8 }, () => locks.acquire("job", { ttl: 30_000 })));
  const got = tries.filter((lock) => lock !== undefined);
  expect(got).toHaveLength(1);
  expect(got[0]?.held).toBe(true);
  expect(await locks.acquire("job")).toBeUndefined();
  const other = await acquire(locks, "job.other", 30_000);
  expect(await other.release()).toBe(true);
  expect(await got[0]?.release()).toBe(true);
  expect(got[0]?.held).toBe(false);
  expect(got[0]?.signal.aborted).toBe(false);
});

test("whoever waits gets it when it is released, with a higher number each time", async () => {
  const { locks } = await open();
  let inside = 0;
  const fences: number[] = [];
  await Promise.all(
    Array.from({ length: 5 }, async () => {
      const lock = await acquire(locks, "job", 30_000, 20_000);
      expect(++inside).toBe(1);
      fences.push(lock.fence);
      await untilTime(Date.now() + 20);
      inside--;
      expect(await lock.release()).toBe(true);
    }),
  );
  expect(fences).toHaveLength(5);
  expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
});

test("whoever waits in vain is told so after that time", async () => {
  const { locks } = await open();
  await acquire(locks, "job", 30_000);
  const start = performance.now();
  expect(await locks.acquire("job", { wait: 300 })).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(20_000);
});

test("it is renewed as long as it is held, under the same number", async () => {
  const { locks, kv } = await open();
  const lock = await acquire(locks, "job", 6000);
  await untilTime(Date.now() + 7000);
  expect(lock.held).toBe(true);
  expect((await kv.get("job"))?.revision).toBeGreaterThan(lock.fence);
  expect(lock.fence).toBe(1);
  expect(await lock.renew()).toBe(true);
  expect(await lock.release()).toBe(true);
  expect(await lock.renew()).toBe(false);
  expect((await kv.get("job"))?.operation).toBe("DEL");
});

test("the holder's process dies, and another process gets it", async () => {
  const { bucket } = await open();
  const guarded = newBucket();
  await new Kvm(own.nc).create(guarded);
  const start = async () => {
    const worker = new Worker("lock", own.server.url, bucket, "job", "1000", guarded);
    workers.push(worker);
    expect(await worker.line()).toBe("ready");
    return worker;
  };
  const fence = async (worker: Worker) => Number((await worker.lineWith("taken")).split(" ")[1]);

  const first = await start();
  const lower = await fence(first);
  const second = await start();
  await first.kill();
  expect(await fence(second)).toBeGreaterThan(lower);
});

test("a lost lease is told to the holder, whose release then does not touch the next holder's lock", async () => {
  const { locks, kv } = await open();
  const first = await acquire(locks, "job", 6000);
  await kv.delete("job"); // as an operator would
  const second = await acquire(locks, "job", 60_000);
  await until("the loss to be told", () => first.signal.aborted);
  expect(first.signal.reason.message).toBe('The lock "job" is lost: it has expired or was deleted');
  expect(first.held).toBe(false);
  expect(await first.release()).toBe(false);
  expect(second.fence).toBeGreaterThan(first.fence);
  expect((await kv.get("job"))?.revision).toBe(second.fence);
});

test("a release that comes before the loss was noticed does not touch the next holder's lock either", async () => {
  const { locks, kv } = await open();
  const first = await acquire(locks, "job", 60_000);
  await kv.delete("job");
  const second = await acquire(locks, "job", 60_000);
  expect(first.held).toBe(true);
  expect(await first.release()).toBe(false);
  expect((await kv.get("job"))?.revision).toBe(second.fence);
});

test("a renewal whose answer was lost does not lose the lock", async () => {
  const { locks, kv } = await open();
  const lock = await acquire(locks, "job", 60_000);
  // What such a renewal leaves: our own value, under a revision that we do not know.
  const entry = await kv.get("job");
  const revision = await kv.update("job", entry?.value ?? "", lock.fence);
  expect(await lock.renew()).toBe(true);
  expect(await lock.renew()).toBe(true);
  expect((await kv.get("job"))?.revision).toBe(revision + 1);
  expect(await lock.release()).toBe(true);
});

test("a server that stands still: the lease ends by the holder's own clock, before anybody else can have it", async () => {
  const { locks, kv } = await open();
  const guarded = await new Kvm(own.nc).create(newBucket());
  const first = await acquire(locks, "job", 3000);
  expect(await writeFenced(guarded, "data", first.fence, "first")).toBe(true);
  await own.server.pause();
  try {
    await until("the loss to be told", () => first.signal.aborted);
  } finally {
    await own.server.resume();
  }
  expect(first.held).toBe(false);
  expect(first.signal.reason.message).toBe('The lock "job" is lost: it could not be renewed in time');
  const second = await acquire(locks, "job", 30_000, 20_000);
  expect(await writeFenced(guarded, "data", second.fence, "second")).toBe(true);
  expect(await writeFenced(guarded, "data", first.fence, "first, too late")).toBe(false);
  expect((await guarded.get("data"))?.json()).toEqual({ fence: second.fence, data: "second" });
  expect((await kv.get("job"))?.revision).toBe(second.fence);
});

test("it is held through a restart of the server", async () => {
  const { locks } = await open();
  const lock = await acquire(locks, "job", 30_000);
  const back = reconnected(own.nc);
  await own.server.kill();
  await own.server.restart();
  await back;
  await until("a renewal", () => lock.renew());
  expect(await locks.acquire("job")).toBeUndefined();
  expect(await lock.release()).toBe(true);
  await acquire(locks, "job", 30_000);
});

test("of writers in any order, the one with the highest number stays", async () => {
  const guarded = await new Kvm(own.nc).create(newBucket());
  const fences = [3, 9, 1, 7, 10, 2, 8, 4, 6, 5];
  const results = await Promise.all(
    fences.map((fence) => writeFenced(guarded, "data", fence, `by ${fence}`)),
  );
  expect(results[fences.indexOf(10)]).toBe(true);
  expect((await guarded.get("data"))?.json()).toEqual({ fence: 10, data: "by 10" });
  expect(await writeFenced(guarded, "data", 9, "late")).toBe(false);
  expect(await writeFenced(guarded, "data", 10, "again")).toBe(true);
  await guarded.delete("data");
  expect(await writeFenced(guarded, "data", 11, "after a deletion")).toBe(true);
});

test("bad input is refused, and the bucket stays as it was", async () => {
  const { locks, bucket } = await open();
  await acquire(locks, "job", 60_000);
  const before = await stateOf(own.nc, bucket);
  for (const name of ["", "a b", "a..b", ".a", "*", ">"]) {
    await expect(locks.acquire(name)).rejects.toThrow("Expected a key of letters");
  }
  for (const ttl of [0, -1000, 500, 1500, Number.NaN, Number.POSITIVE_INFINITY]) {
    await expect(locks.acquire("new", { ttl })).rejects.toThrow("Expected `ttl` in milliseconds");
  }
  for (const wait of [-1, Number.NaN, "5" as never]) {
    await expect(locks.acquire("new", { wait })).rejects.toThrow("Expected `wait` in milliseconds");
  }
  expect(await stateOf(own.nc, bucket)).toEqual(before);
});

test("a bucket without TTLs per key is refused", async () => {
  const bucket = newBucket();
  await new Kvm(own.nc).create(bucket);
  await expect(Locks.open(own.nc, { bucket })).rejects.toThrow(`The bucket "${bucket}" keeps no TTL per key`);
});

test("the step of the tour", async () => {
  const { said, left } = await take("locks", own);
  expect(left).toEqual([]);
  const numbers = [...said.matchAll(/taken (\d+)/g)].map(([, number]) => Number(number));
  expect(numbers).toHaveLength(3);
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  expect(said).toContain("we try once and get undefined");
  expect(said).toMatch(/second: taken \d+, \d+\.\d s later: a higher number\nsecond: written true/);
  expect(said).toMatch(/second: lost: The lock "report" is lost: .*\nsecond: written false/);
  expect(said).toContain(`the guarded key holds {"fence":${numbers[2]},"data":"by third"}`);
  expect(said).toContain("third:  released true");
  expect(said).toMatch(/number \d+; released: true\nreleased again: false/);
});
