import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { NatsStore } from "connect-nats";
import express from "express";
import { NatsStore as KoaStore } from "koa-session-nats";
import { startNatsServer } from "nats-dev-server";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { Gate } from "../../support/gate.js";
import { type Connection, clients, connectCurrent, newBucket } from "../../support/variants.js";
import { stopwatch, until } from "../../support/wait.js";

const url = inject("currentServer");
const { host } = new URL(url);

/** How much later than its `timeout` a check may reject, in ms of a stopwatch. */
const LITTLE = 500;

async function open(options: SessionStoreOptions = {}, nc?: Connection): Promise<SessionStore> {
  const connection = nc ?? (await connectCurrent());
  const store = new SessionStore(connection, { bucket: newBucket(), timeout: 30_000, ...options });
  onTestFinished(async () => {
    await store.close();
    await connection.close();
  });
  return store;
}

describe.each(Object.entries(clients))("check, over %s,", (_name, connect) => {
  it("opens the store and tells latency, server, bucket, leader and feed", async () => {
    const bucket = newBucket();
    const store = await open({ bucket }, await connect({ servers: url }));
    const leader = expect.stringMatching(/./);
    const latency = expect.any(Number);
    expect(await store.check()).toEqual({ latency, server: host, bucket, leader, feed: "idle" });
  });

  it("rejects at once where the connection was closed", async () => {
    const nc = await connect({ servers: url });
    const store = await open({}, nc);
    await store.check();
    await nc.close();
    await expect(store.check()).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
  });

  it("rejects within its own timeout where the server is frozen, and resolves when it goes on", async () => {
    const server = await startNatsServer();
    onTestFinished(() => server.stop());
    const store = await open({}, await connect({ servers: server.url }));
    await store.check();
    await server.pause();
    const watch = stopwatch();
    await expect(store.check({ timeout: 300 })).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    expect(watch.elapsed()).toBeLessThan(300 + LITTLE);
    watch.stop();
    await server.resume();
    expect(await store.check()).toMatchObject({ feed: "idle" });
  });
});

it("check rejects within its timeout where the connection is not there yet", async () => {
  const store = new SessionStore(new Promise<never>(() => {}), { timeout: 30_000 });
  const watch = stopwatch();
  await expect(store.check({ timeout: 100 })).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
  expect(watch.elapsed()).toBeLessThan(100 + LITTLE);
  watch.stop();
});

it("check may take no longer than the timeout of the store", async () => {
  const store = new SessionStore(new Promise<never>(() => {}), { timeout: 100 });
  const watch = stopwatch();
  await expect(store.check({ timeout: 60_000 })).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
  expect(watch.elapsed()).toBeLessThan(100 + LITTLE);
  watch.stop();
});

it("check rejects with the code of a bucket that is missing, before the store is open and after", async () => {
  const bucket = newBucket();
  const nc = await connectCurrent();
  const early = await open({ bucket, createBucket: false }, nc);
  await expect(early.check()).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
  await (await open({ bucket })).ready();
  expect(await early.check()).toMatchObject({ bucket });
  await nc.request(`$JS.API.STREAM.DELETE.KV_${bucket}`, new Uint8Array(), { timeout: 30_000 });
  await expect(early.check()).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
});

it("check rejects once the store is closed, and for a timeout that is no time", async () => {
  const store = await open();
  await store.close();
  await expect(store.check()).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
  for (const timeout of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "5s" as never]) {
    await expect(store.check({ timeout })).rejects.toThrow(
      /^Expected `timeout` to be a positive number of mill/,
    );
  }
});

it("check tells whether the bucket has a feed, whether the store follows it, and whether it is interrupted", async () => {
  const without = await open({ republish: false });
  expect(await without.check()).toMatchObject({ feed: "none" });
  const needing = await open({ bucket: without.bucket, cache: true });
  await expect(needing.check()).rejects.toMatchObject({ code: "ERR_SESSION_NO_FEED" });
  const server = await startNatsServer();
  onTestFinished(() => server.stop());
  const bucket = newBucket();
  const gate = new Gate(await (clients["nats 2.29"] as (typeof clients)[string])({ servers: server.url }));
  const store = await open({ bucket }, gate.connection);
  await store.save("an id", {});
  expect(await store.check()).toMatchObject({ feed: "idle" });
  const changes = store.changes();
  await changes.ready;
  expect(await store.check()).toMatchObject({ feed: "live" });
  gate.hold((subject) => subject === `$JS.API.DIRECT.GET.KV_${bucket}`);
  await server.restart();
  await gate.holding();
  expect(await store.check()).toMatchObject({ feed: "cut" });
  gate.release();
  await until("the feed to be whole", async () => (await store.check()).feed === "live");
  await changes.return();
  expect(await store.check()).toMatchObject({ feed: "idle" });
  expect(await (await open({ cache: true })).check()).toMatchObject({ feed: "live" });
});

it("the stores of both adapters have the check, and a route answers with it", async () => {
  const nc = await connectCurrent();
  onTestFinished(() => nc.close());
  const [forExpress, forKoa] = [
    new NatsStore(nc, { bucket: newBucket(), timeout: 30_000 }),
    new KoaStore(nc, { bucket: newBucket(), timeout: 30_000 }),
  ];
  onTestFinished(async () => {
    await Promise.all([forExpress.close(), forKoa.close()]);
  });
  expect(await forKoa.sessions.check()).toMatchObject({ server: host });
  const app = express();
  app.get("/healthz", async (_req, res) => {
    res.json(await forExpress.sessions.check({ timeout: 5000 }));
  });
  const server = createServer(app).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/healthz`);
  expect(await answer.json()).toMatchObject({ server: host, feed: "idle" });
});
