import { jetstreamManager } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { NatsStore as ExpressStore } from "connect-nats";
import type { SessionData } from "express-session";
import { NatsStore as KoaStore } from "koa-session-nats";
import { handleOf } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { openPatient, PATIENCE } from "../support/patient.js";
import { newBucket } from "../support/variants.js";

let nc: NatsConnection;

beforeAll(async () => {
  nc = await connect({ servers: inject("currentServer") });
});

afterAll(() => nc?.close());

const ID = "VzJ0aWQ_0fYh9pXbUq7sLr3k";

/** The bucket as the official client opens it. */
const kvOf = (bucket: string, connection = nc): Promise<KV> => new Kvm(connection).open(bucket);

const session = (data: object) => data as SessionData;

describe("what the official KV client finds in the bucket", () => {
  test("a session of Express is its JSON and nothing else", async () => {
    const bucket = newBucket();
    const store = await ExpressStore.open(nc, { timeout: PATIENCE, bucket });
    await store.set(ID, session({ cookie: { originalMaxAge: null, expires: null, path: "/" }, user: "ada" }));
    const entry = await (await kvOf(bucket)).get(`s.${handleOf(ID)}`);
    expect(entry?.operation).toBe("PUT");
    expect(entry?.string()).toBe('{"cookie":{"originalMaxAge":null,"expires":null,"path":"/"},"user":"ada"}');
  });

  test("a cookie's passing time is not part of the value", async () => {
    const bucket = newBucket();
    const store = await ExpressStore.open(nc, { timeout: PATIENCE, bucket });
    const cookie = { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000), path: "/" };
    await store.set(ID, session({ cookie, user: "ada" }));
    const entry = await (await kvOf(bucket)).get(`s.${handleOf(ID)}`);
    expect(entry?.json()).toEqual({ cookie: { originalMaxAge: 60_000, path: "/" }, user: "ada" });
  });

  test("a session of Koa is its JSON and nothing else", async () => {
    const bucket = newBucket();
    const store = await KoaStore.open(nc, { timeout: PATIENCE, bucket });
    await store.set(ID, { user: "ada", _maxAge: 60_000, _expire: Date.now() + 60_000 }, 70_000);
    const entry = await (await kvOf(bucket)).get(`s.${handleOf(ID)}`);
    expect(entry?.string()).toBe('{"user":"ada","_maxAge":60000}');
  });

  test("the key is the session's handle, under the store's prefix", async () => {
    const bucket = newBucket();
    const store = await openPatient(nc, { bucket, prefix: "shop.eu" });
    await store.save(ID, { user: "ada" });
    const kv = await kvOf(bucket);
    const keys: string[] = [];
    for await (const key of await kv.keys()) keys.push(key);
    expect(keys).toEqual([`shop.eu.s.${store.handleOf(ID)}`]);
    expect((await kv.get(keys[0] as string))?.json()).toEqual({ user: "ada" });
  });

  test("a session that was destroyed is a deleted key", async () => {
    const bucket = newBucket();
    const store = await openPatient(nc, { bucket });
    await store.save(ID, { user: "ada" });
    await store.destroy(ID);
    const kv = await kvOf(bucket);
    const entry = await kv.get(`s.${handleOf(ID)}`);
    expect(entry?.operation).toBe("DEL");
    expect(entry?.length).toBe(0);
    const keys: string[] = [];
    for await (const key of await kv.keys()) keys.push(key);
    expect(keys).toEqual([]);
  });

  test("a session that it deletes is gone for the store, one that it writes over is not taken for ours", async () => {
    const bucket = newBucket();
    const store = await openPatient(nc, { bucket });
    await store.save(ID, { user: "ada" });
    const kv = await kvOf(bucket);
    await kv.delete(`s.${handleOf(ID)}`);
    expect(await store.load(ID)).toBeNull();
    await kv.put(`s.${handleOf(ID)}`, '{"user":"mallory"}');
    await expect(store.load(ID)).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
    await store.destroy(ID);
    expect(await store.load(ID)).toBeNull();
  });
});

describe("what is stored beside the value", () => {
  const headersOf = async (connection: NatsConnection, bucket: string) => {
    const { streams } = await jetstreamManager(connection);
    const message = await streams.getMessage(`KV_${bucket}`, {
      last_by_subj: `$KV.${bucket}.s.${handleOf(ID)}`,
    });
    return Object.fromEntries(
      (message?.header.keys() ?? []).map((name) => [name, message?.header.get(name)]),
    );
  };

  test("times in milliseconds, the format and the kind of write; the life in seconds for the server", async () => {
    const bucket = newBucket();
    const store = await openPatient(nc, { bucket });
    const { record } = await store.save(ID, { user: "ada" }, { ttl: 90_050 });
    expect(await headersOf(nc, bucket)).toEqual({
      "Session-Format": "1",
      "Session-Created": String(record?.createdAt),
      "Session-Expires": String(record?.expiresAt),
      "Session-Write": "create",
      "Nats-Expected-Last-Subject-Sequence": "0",
      "Nats-TTL": "91s",
    });

    await store.destroy(ID);
    const marker = await headersOf(nc, bucket);
    expect(marker).toMatchObject({ "KV-Operation": "DEL", "Session-Write": "destroy" });
    // At least as long as the session would have lived: longer than it takes to forget it.
    expect(Number.parseInt(marker["Nats-TTL"] ?? "0", 10)).toBeGreaterThanOrEqual(90);
  });

  const oldServers = [inject("oldServer")].filter((url) => url !== undefined);
  test.each(oldServers)("no TTL for a server that would ignore it", async (servers) => {
    const old = await connect({ servers });
    try {
      const bucket = newBucket();
      await (await openPatient(old, { bucket })).save(ID, { user: "ada" });
      expect(Object.keys(await headersOf(old, bucket))).not.toContain("Nats-TTL");
      expect((await (await kvOf(bucket, old)).get(`s.${handleOf(ID)}`))?.json()).toEqual({ user: "ada" });
    } finally {
      await old.close();
    }
  });
});

test("the session id never reaches the server: no subject, header or value of any message holds it", async () => {
  const bucket = newBucket();
  const seen: string[] = [];
  const listener = await connect({ servers: inject("currentServer") });
  // Everything that is sent in the account: requests, writes, replies, and what the change feed makes of them.
  const all = listener.subscribe(">", {
    callback: (_error, message) => {
      const headers = (message.headers?.keys() ?? []).map((name) => `${name}: ${message.headers?.get(name)}`);
      seen.push([message.subject, message.reply, ...headers, message.string()].join("\n"));
    },
  });
  await listener.flush();

  const express = await ExpressStore.open(nc, { timeout: PATIENCE, bucket, touchAfter: 0 });
  const data = session({ cookie: { originalMaxAge: 60_000 }, user: "ada" });
  await express.set(ID, data);
  await express.touch(ID, (await express.get(ID)) as SessionData);
  await express.destroy(ID);
  const koa = await KoaStore.open(nc, { timeout: PATIENCE, bucket });
  await koa.set(ID, { user: "grace" }, 60_000);
  await koa.get(ID);

  await nc.flush();
  await listener.flush();
  all.unsubscribe();
  await listener.close();
  const ours = seen.filter((text) => text.includes(bucket));
  expect(ours.some((text) => text.startsWith(`$KV.${bucket}.s.${handleOf(ID)}`))).toBe(true);
  expect(ours.some((text) => text.startsWith(`session-changes.${bucket}.`))).toBe(true);
  for (const encoding of ["utf8", "base64", "base64url", "hex"] as const) {
    const id = Buffer.from(ID).toString(encoding);
    expect(seen.filter((text) => text.includes(id))).toEqual([]);
  }
});
