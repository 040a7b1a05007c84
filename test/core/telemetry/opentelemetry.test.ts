import { type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import type { DataPoint, Histogram } from "@opentelemetry/sdk-metrics";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { instrument } from "nats-session-store/opentelemetry";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { warm } from "../../support/cached.js";
import { type Data, saveBriefly, user } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Metrics } from "./metrics.js";
import { exporter, spansOf, start, tracerProvider } from "./tracing.js";

const url = new URL(inject("currentServer"));

function fail(): never {
  throw new Error("secret");
}

async function open(options: SessionStoreOptions = {}): Promise<SessionStore<Data>> {
  const nc = await connectCurrent();
  const store = await SessionStore.open<Data>(nc, { bucket: newBucket(), timeout: 30_000, user, ...options });
  onTestFinished(async () => {
    await store.close();
    await nc.close();
  });
  return store;
}

describe("a span", () => {
  it("is a child of the active one, and says what the operation did", async () => {
    start();
    const store = await open();
    await trace.getTracer("test").startActiveSpan("request", async (parent: Span) => {
      await store.save("an id", { n: 1 });
      parent.end();
    });
    const [save] = spansOf(store.bucket);
    const parent = exporter.getFinishedSpans().find(({ name }) => name === "request");
    expect(save?.parentSpanContext?.spanId).toBe(parent?.spanContext().spanId);
    expect(save).toMatchObject({ name: `save ${store.bucket}`, status: { code: SpanStatusCode.UNSET } });
    expect(save?.attributes).toEqual({
      "db.system.name": "nats",
      "db.namespace": store.bucket,
      "db.operation.name": "save",
      "nats.session.handle": store.handleOf("an id"),
      "nats.session.outcome": "saved",
      "server.address": url.hostname,
      "server.port": Number(url.port),
    });
  });

  it("of a failed operation has the code as its error.type and the status of an error", async () => {
    const store = await open({ user: fail });
    const metrics = start();
    await expect(store.save("an id", {})).rejects.toMatchObject({ code: "ERR_SESSION_CALLBACK" });
    const [save] = spansOf(store.bucket);
    expect(save?.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(save?.attributes).toMatchObject({ "error.type": "ERR_SESSION_CALLBACK" });
    const [point] = await metrics.points("db.client.operation.duration", store.bucket);
    expect(point?.attributes).toMatchObject({ "error.type": "ERR_SESSION_CALLBACK" });
    expect(JSON.stringify([save?.attributes, save?.events])).not.toContain("secret");
  });
});

describe("the metrics", () => {
  it("tell the duration of operations in the buckets of the semantic conventions", async () => {
    const store = await open();
    const metrics = start();
    await store.save("an id", {});
    await store.load("an id");
    await store.load("an id");
    const points = await metrics.points("db.client.operation.duration", store.bucket);
    const common = { "db.system.name": "nats", "db.namespace": store.bucket };
    expect(points.map(({ attributes, value }) => [attributes, (value as { count: number }).count])).toEqual([
      [{ ...common, "db.operation.name": "save" }, 1],
      [{ ...common, "db.operation.name": "load" }, 2],
    ]);
    const { buckets, sum } = (points[1] as DataPoint<Histogram>).value;
    expect(buckets.boundaries).toEqual([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThan(60);
    expect(await metrics.unit("db.client.operation.duration")).toBe("s");
  });

  it("count sessions that begin and end, merges, and writes to sessions that are gone", async () => {
    const metrics = start();
    const store = await open();
    await store.save("an id", { a: 1 });
    const [one, other] = [await store.load("an id"), await store.load("an id")];
    await store.save("an id", { a: 2 }, { record: one as never });
    await store.save("an id", { a: 1, b: 2 }, { record: other as never });
    await store.destroy("an id");
    await store.save("an id", { a: 3 }, { record: one as never });
    const sum = (name: string) => metrics.sum(`nats.session.${name}`, store.bucket);
    expect(await sum("created")).toBe(1);
    expect(await sum("ended")).toBe(1);
    expect(await sum("merges")).toBe(1);
    expect(await sum("gone")).toBe(1);
  });

  it("count stored and skipped touches, also those that an adapter need not begin", async () => {
    const metrics = start();
    const store = await open();
    const { record } = await store.save("an id", {}, { ttl: 3_600_000 });
    const touched = await store.touch("an id", record as never, { ttl: 7_200_000 });
    await store.touch("an id", touched.record as never, { ttl: 7_200_000 });
    expect(store.isTouchDue(touched.record as never, { ttl: 7_200_000 })).toBe(false);
    await store.save("an id", {}, { record: touched.record as never, touchUnchanged: true, ttl: 7_200_000 });
    const touches = (await metrics.points("nats.session.touches", store.bucket)).map(
      ({ attributes, value }) => [attributes["nats.session.touch"], value],
    );
    expect(touches).toEqual([
      ["stored", 1],
      ["skipped", 3],
    ]);
  });

  it("count hits, misses and evictions of the near cache, and refused sign-ins", async () => {
    const metrics = start();
    const store = await open({ cache: { max: 1 }, maxSessionsPerUser: 1, onLimit: "refuse" });
    await store.save("an id", { user: "ada" });
    await warm(store, "an id");
    await store.save("another id", {});
    await expect(store.save("a third", { user: "ada" })).rejects.toMatchObject({ code: "ERR_SESSION_LIMIT" });
    const { hits = 0, misses = 0 } = store.cacheStats() ?? {};
    expect(await metrics.sum("nats.session.cache.hits", store.bucket)).toBe(hits);
    expect(await metrics.sum("nats.session.cache.misses", store.bucket)).toBe(misses);
    expect(await metrics.points("nats.session.cache.evictions", store.bucket)).toMatchObject([
      { attributes: { "nats.session.cache.reason": "full" }, value: 1 },
    ]);
    expect(await metrics.sum("nats.session.refused", store.bucket)).toBe(1);
  });

  it("tell how many sessions are live and have expired, from the feed of a store that is given", async () => {
    const store = await open();
    const other = await open({ bucket: store.bucket });
    await other.save("from before", {});
    const metrics = start({ sessions: store });
    const live = () => metrics.sum("nats.session.live", store.bucket);
    await until("the first count", async () => (await live()) === 1);
    const { record } = await other.save("one", {});
    await other.save("two", {});
    await other.rotate("one", "another", {}, { record: record as never });
    await until("both to be counted", async () => (await live()) === 3);
    await other.destroy("two");
    await until("the end to be counted", async () => (await live()) === 2);
    await saveBriefly(other, "brief", {}, 1500);
    await until("the expiry", async () => (await metrics.sum("nats.session.expired", store.bucket)) === 1);
    await until("the count after it", async () => (await live()) === 2);
  });

  it("hold no handle, no id, no data and no name of a user", async () => {
    const metrics = start();
    const store = await open({ maxSessionsPerUser: 1 });
    await store.save("the-id", { user: "the-user", a: "the-data" });
    await store.save("the-id-2", { user: "the-user", a: "the-data" });
    await store.destroyByUser("the-user");
    const text = JSON.stringify(await metrics.collect());
    expect(text).toContain(store.bucket);
    expect(text).not.toMatch(/the-(id|user|data)/);
    for (const id of ["the-id", "the-id-2"]) expect(text).not.toContain(store.handleOf(id));
    expect(
      JSON.stringify(spansOf(store.bucket).map(({ attributes, name }) => [attributes, name])),
    ).not.toMatch(/the-(id|user|data)/);
  });
});

it("after it was stopped nothing more is reported, and the store's feed is not followed", async () => {
  const metrics = new Metrics();
  const store = await open();
  const stop = instrument({ meterProvider: metrics.provider, tracerProvider, sessions: store });
  onTestFinished(() => metrics.provider.shutdown());
  await until("the feed to be followed", async () => (await store.check()).feed === "live");
  stop();
  await until("the feed to be left alone", async () => (await store.check()).feed === "idle");
  const spans = spansOf(store.bucket).length;
  await store.save("an id", {});
  expect(spansOf(store.bucket)).toHaveLength(spans);
  expect(await metrics.sum("nats.session.created", store.bucket)).toBe(0);
});
