import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { NatsStore as ExpressStore } from "connect-nats";
import { NatsStore as KoaStore } from "koa-session-nats";
import type { NatsConnectionSource, SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { Gate } from "./support/gate.js";

const DATA = { cookie: { path: "/" }, user: "ada" };

/** A store of either adapter: the same calls, each with a promise. */
interface Store {
  get(id: string): Promise<unknown>;
  set(id: string): Promise<unknown>;
  ready(): Promise<void>;
  close(): Promise<void>;
}

type Open = (source: NatsConnectionSource, options: SessionStoreOptions) => Store;

const adapters: [string, Open, (source: NatsConnectionSource) => Promise<unknown>][] = [
  [
    "Express",
    (source, options) => {
      const store = new ExpressStore(source, options);
      return {
        get: (id) => store.get(id),
        set: async (id) => store.set(id, structuredClone(DATA) as never),
        ready: () => store.ready(),
        close: () => store.close(),
      };
    },
    (source) => ExpressStore.open(source),
  ],
  [
    "Koa",
    (source, options) => {
      const store = new KoaStore(source, options);
      return {
        get: (id) => store.get(id),
        set: (id) => store.set(id, structuredClone(DATA), 3_600_000),
        ready: () => store.ready(),
        close: () => store.close(),
      };
    },
    (source) => KoaStore.open(source),
  ],
];

const connections: NatsConnection[] = [];
let nc: NatsConnection;

async function dial(): Promise<NatsConnection> {
  const connection = await connect({ servers: inject("currentServer") });
  connections.push(connection);
  return connection;
}

beforeAll(async () => {
  nc = await dial();
});

afterAll(() => Promise.all(connections.map((connection) => connection.close())));

async function deleteBucket(bucket: string): Promise<void> {
  const { streams } = await jetstreamManager(nc);
  await streams.delete(`KV_${bucket}`);
}

async function createBucket(open: Open, bucket: string): Promise<void> {
  const store = open(nc, { bucket });
  await store.ready();
  await store.close();
}

const unavailable = { code: "ERR_SESSION_UNAVAILABLE" };

describe.each(adapters)("a store of %s that opens itself", { concurrent: true }, (_name, open, openNow) => {
  const timeout = 30_000;

  test("answers operations that were called before there was a connection", async () => {
    const gate = new Gate();
    const connecting = gate.opened.then(dial);
    const store = open(connecting, { bucket: newBucket(), timeout });
    const done: string[] = [];
    const calls = [
      store.ready().then(() => done.push("ready")),
      store.set("id").then(() => done.push("set")),
      ...[1, 2, 3].map((n) => store.get(`other-${n}`).then((data) => done.push(`get ${data}`))),
    ];
    await new Promise(setImmediate);
    expect(done).toEqual([]);
    gate.open();
    await Promise.all(calls);
    expect(done.toSorted()).toEqual(["get null", "get null", "get null", "ready", "set"]);
    expect(await store.get("id")).toMatchObject({ user: "ada" });
    await store.close();
  });

  test("rejects with the cause when the promise of a connection was rejected, and waits for nothing", async () => {
    const cause = new Error("no such host");
    const store = open(Promise.reject(cause), { bucket: newBucket(), timeout });
    for (const call of [() => store.ready(), () => store.get("id"), () => store.set("id")]) {
      await expect(call()).rejects.toMatchObject({ ...unavailable, cause });
    }
    await store.close();
  });

  test("calls a function that connects again after it has failed, and never while it has a connection", async () => {
    const causes: unknown[] = [new Error("first"), "second"];
    let calls = 0;
    const store = open(
      () => {
        calls++;
        if (causes.length > 0) throw causes[0];
        return dial();
      },
      { bucket: newBucket(), timeout },
    );
    for (const cause of [...causes]) {
      await expect(store.get("id")).rejects.toMatchObject({ ...unavailable, cause });
      causes.shift();
    }
    await store.set("id");
    await Promise.all([store.get("id"), store.get("other"), store.ready()]);
    expect(calls).toBe(3);
    await store.close();
  });

  test("gets another connection from its function when the first was closed for good", async () => {
    let latest: NatsConnection | undefined;
    let calls = 0;
    const store = open(
      async () => {
        calls++;
        latest = await dial();
        return latest;
      },
      { bucket: newBucket(), timeout, cache: true },
    );
    await store.set("id");
    for (const call of [2, 3]) {
      await latest?.close();
      const answers = await Promise.all([store.get("id"), store.get("id")]);
      expect(answers).toMatchObject([{ user: "ada" }, { user: "ada" }]);
      expect(calls).toBe(call);
    }
    await store.close();
  });

  test("stays unavailable when the one connection it was given is closed for good", async () => {
    const own = await dial();
    const store = open(own, { bucket: newBucket(), timeout });
    await store.set("id");
    await own.close();
    for (const _ of [1, 2]) await expect(store.get("id")).rejects.toMatchObject(unavailable);
    await store.close();
  });

  test("creates a bucket again that was deleted while it ran, with a warning", async ({ onTestFinished }) => {
    const bucket = newBucket();
    const warnings: string[] = [];
    const warned = ({ message }: Error) => void warnings.push(message);
    process.on("warning", warned);
    onTestFinished(() => void process.off("warning", warned));
    const store = open(nc, { bucket, timeout });
    await store.set("id");
    await deleteBucket(bucket);
    expect(await store.get("id")).toBeNull();
    await store.set("id");
    expect(await store.get("id")).toMatchObject({ user: "ada" });
    const ours = () => warnings.filter((message) => message.includes(bucket));
    await until("the warning", () => ours().length > 0);
    expect(ours()).toHaveLength(1);
    await store.close();
  });

  test("with `createBucket: false` goes on without a restart when a deleted bucket is back", async () => {
    const bucket = newBucket();
    await createBucket(open, bucket);
    const store = open(nc, { bucket, timeout, createBucket: false });
    await store.set("id");
    await deleteBucket(bucket);
    for (const call of [() => store.get("id"), () => store.set("id"), () => store.get("id")]) {
      await expect(call()).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
    }
    await createBucket(open, bucket);
    expect(await store.get("id")).toBeNull();
    await store.set("id");
    expect(await store.get("id")).toMatchObject({ user: "ada" });
    await store.close();
  });

  test("rejects within its timeout while there is no connection, and works as soon as there is one", async () => {
    const gate = new Gate();
    let calls = 0;
    const store = open(
      () => {
        calls++;
        return gate.opened.then(dial);
      },
      { bucket: newBucket(), timeout: 100 },
    );
    for (const call of [() => store.get("id"), () => store.ready(), () => store.set("id")]) {
      await expect(call()).rejects.toMatchObject(unavailable);
    }
    gate.open();
    await until("the store to work", () =>
      store.set("id").then(
        () => true,
        () => false,
      ),
    );
    // The call that was under way is the one whose connection is used.
    expect(calls).toBe(1);
    await store.close();
  });

  test("rejects what waits when it is closed while it opens, and everything after", async () => {
    const gate = new Gate();
    const store = open(() => gate.opened.then(dial), { bucket: newBucket(), timeout });
    const waiting = [store.get("id"), store.set("id"), store.ready()];
    const results = Promise.allSettled(waiting);
    await store.close();
    const closed = { status: "rejected", reason: expect.objectContaining({ code: "ERR_SESSION_CLOSED" }) };
    expect(await results).toEqual([closed, closed, closed]);
    await expect(store.get("id")).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
    gate.open();
  });

  test("`open` rejects with the reason why it cannot be opened", async () => {
    const cause = new Error("no such host");
    await expect(openNow(() => Promise.reject(cause))).rejects.toMatchObject({ ...unavailable, cause });
  });
});
