import { channel, tracingChannel } from "node:diagnostics_channel";
import { expect, inject, it, onTestFinished, vi } from "vitest";
import { stopClock } from "../../support/clock.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { open } from "./open.js";
import { POINTS, record } from "./recorder.js";

const url = new URL(inject("currentServer"));

it("the tracing channel reports each operation with handle, outcome and server", async () => {
  const bucket = newBucket();
  const store = await open({ bucket, touchAfter: 0 });
  const { operations } = record(bucket);
  const handle = store.handleOf("an id");
  await store.check();
  await store.load("an id");
  const { record: saved } = await store.save("an id", { n: 1 });
  const { record: touched } = await store.touch("an id", saved as never, { ttl: 90_000_000 });
  await store.save("an id", { n: 1 }, { record: touched as never, touchUnchanged: true, ttl: 100_000_000 });
  await store.load("an id");
  await store.update("an id", (data) => ({ ...data, n: 2 }));
  const now = await store.load("an id");
  await store.rotate("an id", "another id", { n: 3 }, { record: now as never });
  await store.destroy("another id");
  await store.destroy("another id");
  for await (const _ of store.handles());
  await store.count();
  await store.destroyByUser("ada");
  await store.clear();
  expect(operations.map(({ operation, outcome }) => [operation, outcome])).toEqual([
    ["check", undefined],
    ["load", "missing"],
    ["save", "saved"],
    ["touch", "touched"],
    ["save", "touched"],
    ["load", "found"],
    ["update", "saved"],
    ["load", "found"],
    ["rotate", "saved"],
    ["destroy", "destroyed"],
    ["destroy", "missing"],
    ["list", undefined],
    ["count", undefined],
    ["destroyByUser", undefined],
    ["clear", undefined],
  ]);
  const server = { bucket, serverAddress: url.hostname, serverPort: Number(url.port), attempts: 1 };
  for (const context of operations) expect(context).toMatchObject(server);
  expect(operations[2]).toEqual({
    ...server,
    operation: "save",
    outcome: "saved",
    handle,
    cached: undefined,
  });
  expect(operations[1]).toMatchObject({ handle, cached: false });
  expect(operations[11]?.handle).toBeUndefined();
});

it("the events of one operation come in the order of Node's tracing channels, with one context", async () => {
  const bucket = newBucket();
  const store = await open({ bucket });
  const events: [string, object][] = [];
  const on = (name: string) => (context: object) => void events.push([name, context]);
  const tracing = tracingChannel<unknown, object>("nats-session-store:operation");
  const subscribers = {
    start: on("start"),
    end: on("end"),
    asyncStart: on("asyncStart"),
    asyncEnd: on("asyncEnd"),
    error: on("error"),
  };
  tracing.subscribe(subscribers);
  onTestFinished(() => tracing.unsubscribe(subscribers));
  await store.load("an id");
  await expect(store.load(undefined as never)).rejects.toBeInstanceOf(TypeError);
  const [first] = events;
  expect(events.slice(0, 4).map(([name, context]) => [name, context === first?.[1]])).toEqual([
    ["start", true],
    ["end", true],
    ["asyncStart", true],
    ["asyncEnd", true],
  ]);
  expect(events.slice(4).map(([name]) => name)).toEqual(["start", "end", "error", "asyncStart", "asyncEnd"]);
  expect(events[4]?.[1]).toMatchObject({
    operation: "load",
    handle: undefined,
    error: { name: "TypeError" },
  });
});

it("an operation that fails is reported with its code, and without what the application's function has said", async () => {
  const bucket = newBucket();
  const store = await open({
    bucket,
    user: () => {
      throw new Error("secret data");
    },
  });
  const recorded = record(bucket);
  await expect(store.save("an id", { secret: "data" })).rejects.toMatchObject({
    code: "ERR_SESSION_CALLBACK",
  });
  expect(recorded.operations).toMatchObject([
    {
      operation: "save",
      outcome: undefined,
      error: { name: "SessionStoreError", code: "ERR_SESSION_CALLBACK" },
    },
  ]);
  expect(recorded.text()).not.toContain("secret");
});

it("a save that met another request's change is reported as merged, with its tries", async () => {
  const bucket = newBucket();
  const store = await open({ bucket });
  await store.save("an id", { a: 1 });
  const [one, other] = [await store.load("an id"), await store.load("an id")];
  const { operations, of } = record(bucket);
  await store.save("an id", { a: 2 }, { record: one as never });
  await store.save("an id", { a: 1, b: 2 }, { record: other as never });
  expect(operations).toMatchObject([
    { outcome: "saved", attempts: 1 },
    { outcome: "merged", attempts: 2 },
  ]);
  expect(of("merge")).toEqual([{ bucket, handle: store.handleOf("an id"), operation: "save" }]);
});

it("writes to a session that was ended elsewhere are reported as gone", async () => {
  const bucket = newBucket();
  const store = await open({ bucket, touchAfter: 0 });
  const handle = store.handleOf("an id");
  const { record: saved } = await store.save("an id", {});
  await store.destroy("an id");
  const { of } = record(bucket);
  await store.save("an id", { n: 1 }, { record: saved as never });
  await store.touch("an id", saved as never, { ttl: 90_000_000 });
  await store.rotate("an id", "another id", {}, { record: saved as never });
  await store.update("an id", () => {});
  expect(of("gone")).toEqual(
    ["save", "touch", "rotate", "update"].map((operation) => ({ bucket, handle, operation })),
  );
});

it("sessions that begin and end in this process are reported, those of a rotation are not", async () => {
  const bucket = newBucket();
  const store = await open({ bucket });
  const { of } = record(bucket);
  const { record: saved } = await store.save("an id", {});
  await store.save("an id", { n: 1 }, { record: saved as never });
  const loaded = await store.load("an id");
  await store.rotate("an id", "another id", {}, { record: loaded as never });
  await store.destroy("another id");
  await store.destroy("another id");
  expect(of("created")).toEqual([{ bucket, handle: store.handleOf("an id") }]);
  expect(of("ended")).toEqual([{ bucket, handle: store.handleOf("another id") }]);
});

it("a limit of sessions is reported when it refuses a sign-in, and when it ends the oldest session", async () => {
  const bucket = newBucket();
  const refusing = await open({ bucket, maxSessionsPerUser: 1, onLimit: "refuse" });
  const ending = await open({ bucket, maxSessionsPerUser: 1, onLimit: "end-oldest" });
  const recorded = record(bucket);
  await refusing.save("one", { user: "name of a user" });
  await expect(refusing.save("two", { user: "name of a user" })).rejects.toMatchObject({
    code: "ERR_SESSION_LIMIT",
  });
  await ending.save("three", { user: "name of a user" });
  expect(recorded.of("limit")).toEqual([
    { bucket, handle: ending.handleOf("two"), action: "refused", limit: 1 },
    { bucket, handle: ending.handleOf("one"), action: "ended", limit: 1 },
  ]);
  expect(recorded.text()).not.toContain("name of a user");
});

it("nothing that any channel publishes holds an id, data or the name of a user", async () => {
  const clock = stopClock();
  const bucket = newBucket();
  const store = await open({ bucket, cache: true, maxSessionsPerUser: 1, touchAfter: 0 });
  const recorded = record(bucket);
  const data = { user: "the-user", secret: "the-data" };
  const { record: saved } = await store.save("the-id", data, { ttl: 60_000 });
  const [one, other] = [await store.load("the-id"), await store.load("the-id")];
  await store.save("the-id", { ...data, secret: "the-data-2" }, { record: one as never });
  await store.save("the-id", { ...data, more: "the-data-3" }, { record: other as never });
  await store.save("the-id-2", data);
  await store.touch("the-id", saved as never, { ttl: 90_000_000 });
  for await (const _ of store.listByUser("the-user"));
  for await (const _ of store.all());
  await store.destroyByUser("the-user");
  await store.update("the-id-2", () => ({ user: "the-user" })).catch(() => {});
  await store
    .update("the-id", () => {
      throw new Error("the-data");
    })
    .catch(() => {});
  clock.advance(120_000);
  await store.load("the-id");
  await expect(store.save("the-id-3", { user: "the-user", self: 1n })).rejects.toThrow();
  expect(recorded.operations.length).toBeGreaterThan(10);
  expect(recorded.text()).not.toMatch(/the-(id|data|user)/);
});

it("while nothing subscribes no message is made, and no operation is wrapped", async () => {
  const points = POINTS.map((name) => channel(`nats-session-store:${name}`));
  const { start, end, asyncStart, asyncEnd, error } = tracingChannel<unknown, object>(
    "nats-session-store:operation",
  );
  const wrapping = vi.spyOn(start, "runStores");
  const publishing = [...points, start, end, asyncStart, asyncEnd, error].map((one) =>
    vi.spyOn(one as ReturnType<typeof channel>, "publish"),
  );
  onTestFinished(() => void vi.restoreAllMocks());
  const store = await open({ cache: { max: 1 }, maxSessionsPerUser: 1, touchAfter: 0 });
  await store.save("an id", { user: "ada", a: 1 });
  const [one, other] = [await store.load("an id"), await store.load("an id")];
  await store.save("an id", { user: "ada", a: 2 }, { record: one as never });
  await store.save("an id", { user: "ada", a: 1, b: 2 }, { record: other as never });
  await store.save("another id", { user: "ada" });
  await store.touch("an id", one as never, { ttl: 90_000_000 });
  await store.load("never there");
  await store.destroy("another id");
  for (const spy of [wrapping, ...publishing]) expect(spy).not.toHaveBeenCalled();
});

it("a subscriber that throws does not disturb the operation", async () => {
  const bucket = newBucket();
  const store = await open({ bucket });
  const tracing = tracingChannel<unknown, object>("nats-session-store:operation");
  const errors: unknown[] = [];
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => void errors.push(error));
  const throwing = () => {
    throw new Error("of the subscriber");
  };
  const subscribers = {
    start: throwing,
    end: throwing,
    asyncStart: throwing,
    asyncEnd: throwing,
    error: throwing,
  };
  tracing.subscribe(subscribers);
  try {
    expect(await store.save("an id", { n: 1 })).toMatchObject({ outcome: "saved" });
  } finally {
    tracing.unsubscribe(subscribers);
    await until("the errors to come", () => errors.length === 4);
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
  }
});
