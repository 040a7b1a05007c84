import { expect, it } from "vitest";
import { warm } from "../../support/cached.js";
import { connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { open } from "./open.js";
import { record } from "./recorder.js";

it("the near cache reports hits, misses, what it drops and what it evicts, and the load says that it was cached", async () => {
  const bucket = newBucket();
  const store = await open({ bucket, cache: { max: 1 } });
  const other = await open({ bucket });
  const { of, operations } = record(bucket);
  await store.save("an id", {});
  await warm(store, "an id");
  expect(of("cache")).toContainEqual({ bucket, type: "miss", count: 1 });
  expect(of("cache").at(-1)).toEqual({ bucket, type: "hit", count: 1 });
  expect(operations.at(-1)).toMatchObject({ operation: "load", cached: true, outcome: "found" });
  await store.save("another id", {});
  expect(of("cache").at(-1)).toEqual({ bucket, type: "evict", count: 1 });
  await other.save("another id", { n: 2 });
  await until("the change to be heard", () =>
    of("cache").some((message) => (message as { type: string }).type === "drop"),
  );
});

it("a read that the leader has to confirm is reported with the reason", async () => {
  const bucket = newBucket();
  const store = await open({ bucket });
  const other = await open({ bucket });
  await other.save("ended", {});
  await other.destroy("ended");
  const { of } = record(bucket);
  await store.load("never there");
  await store.load("ended");
  expect(of("leader")).toContainEqual({ bucket, reason: "missing" });
});

it("changes that the feed cannot tell, and process warnings, are reported", async () => {
  const bucket = newBucket();
  const nc = await connectCurrent();
  const store = await open({ bucket, maxTtl: 1000 }, nc);
  const changes = store.changes();
  await changes.ready;
  await store.save("an id", {}, { ttl: 5000 });
  const { of } = record(bucket);
  const other = await open({ bucket, maxTtl: 1000 });
  await other.save("another id", {}, { ttl: 5000 });
  expect(of("warning")).toContainEqual({
    bucket,
    code: "NATS_SESSION_TTL_CUT",
    message: expect.stringContaining("5000 ms"),
  });
  await nc.request(`$JS.API.STREAM.DELETE.KV_${bucket}`, new Uint8Array(), { timeout: 30_000 });
  await other.save("a third", {});
  await until("the feed to notice", () => of("missed").length > 0);
  expect(of("missed")[0]).toEqual({ bucket });
});
