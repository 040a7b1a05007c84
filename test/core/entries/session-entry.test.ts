import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { NatsStore as ExpressStore } from "connect-nats";
import type { SessionData } from "express-session";
import { NatsStore as KoaStore } from "koa-session-nats";
import { handleOf, type SessionChange, type SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openPatient, PATIENCE } from "../../support/patient.js";
import { putEntry } from "../../support/put-entry.js";
import { RawBucket } from "../../support/raw-bucket.js";
import { Stores } from "../../support/stores.js";
import { newBucket, type Variant, variants } from "../../support/variants.js";

const ID = "VzJ0aWQ_0fYh9pXbUq7sLr3k";
const KEY = `s.${handleOf(ID)}`;

const session = (data: object) => data as SessionData;

describe("the official KV client", () => {
  let nc: NatsConnection;
  let bucket: string;
  let store: SessionStore;
  beforeAll(async () => {
    nc = await connect({ servers: inject("currentServer") });
    bucket = newBucket();
    store = await openPatient(nc, { bucket });
  });
  afterAll(() => nc.close());

  const kv = () => new Kvm(nc).open(bucket);
  const keys = async () => {
    const list: string[] = [];
    for await (const key of await (await kv()).keys()) list.push(key);
    return list;
  };
  const options = () => ({ timeout: PATIENCE, bucket });

  it("reads a session of Express as its JSON, without the cookie's passing time", async () => {
    const express = await ExpressStore.open(nc, options());
    const cookie = { originalMaxAge: null, expires: null, path: "/" };
    await express.set(ID, session({ cookie, user: "ada" }));
    const entry = await (await kv()).get(KEY);
    expect(entry?.operation).toBe("PUT");
    expect(entry?.string()).toBe('{"cookie":{"originalMaxAge":null,"expires":null,"path":"/"},"user":"ada"}');
    const passing = { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000), path: "/" };
    await express.set(ID, session({ cookie: passing, user: "ada" }));
    const stored = { cookie: { originalMaxAge: 60_000, path: "/" }, user: "ada" };
    expect((await (await kv()).get(KEY))?.json()).toEqual(stored);
  });

  it("reads a session of Koa as its JSON, without its passing time", async () => {
    const koa = await KoaStore.open(nc, options());
    await koa.set(ID, { user: "ada", _maxAge: 60_000, _expire: Date.now() + 60_000 }, 70_000);
    expect((await (await kv()).get(KEY))?.string()).toBe('{"user":"ada","_maxAge":60000}');
  });

  it("finds a session under its handle and the store's prefix", async () => {
    const shop = await openPatient(nc, { bucket, prefix: "shop.eu" });
    await shop.save(ID, { user: "ada" });
    expect(await keys()).toContain(`shop.eu.${KEY}`);
    expect((await (await kv()).get(`shop.eu.${KEY}`))?.json()).toEqual({ user: "ada" });
  });

  it("sees a destroyed session as a deleted key", async () => {
    await store.save(ID, { user: "ada" });
    await store.destroy(ID);
    expect(await (await kv()).get(KEY)).toMatchObject({ operation: "DEL", length: 0 });
    expect(await keys()).not.toContain(KEY);
  });

  it("can end a session by deleting its key, and what it writes there is not taken for a session", async () => {
    await store.save(ID, { user: "ada" });
    await (await kv()).delete(KEY);
    expect(await store.load(ID)).toBeNull();
    await (await kv()).put(KEY, '{"user":"mallory"}');
    await expect(store.load(ID)).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
    await store.destroy(ID);
    expect(await store.load(ID)).toBeNull();
  });

  it("sees the session id nowhere: in no subject, header or value of any message", async () => {
    const seen: string[] = [];
    const listener = await connect({ servers: inject("currentServer") });
    // Everything that is sent in the account: requests, writes, replies, and the change feed.
    listener.subscribe(">", {
      callback: (_error, message) => {
        const headers = (message.headers?.keys() ?? []).map(
          (name) => `${name}: ${message.headers?.get(name)}`,
        );
        seen.push([message.subject, message.reply, ...headers, message.string()].join("\n"));
      },
    });
    await listener.flush();
    const express = await ExpressStore.open(nc, { ...options(), touchAfter: 0 });
    await express.set(ID, session({ cookie: { originalMaxAge: 60_000 }, user: "ada" }));
    await express.touch(ID, (await express.get(ID)) as SessionData);
    await express.destroy(ID);
    const koa = await KoaStore.open(nc, options());
    await koa.set(ID, { user: "grace" }, 60_000);
    await koa.get(ID);
    await nc.flush();
    await listener.flush();
    await listener.close();
    for (const start of [`$KV.${bucket}.${KEY}`, `session-changes.${bucket}.`]) {
      expect(seen.some((text) => text.startsWith(start))).toBe(true);
    }
    for (const encoding of ["utf8", "base64", "base64url", "hex"] as const) {
      const id = Buffer.from(ID).toString(encoding);
      expect(seen.filter((text) => text.includes(id))).toEqual([]);
    }
  });
});

describe.each(variants())("a session's entry over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  const bucket = newBucket();
  let store: SessionStore;
  let raw: RawBucket;
  beforeAll(async () => {
    store = await stores.open({ bucket, user: undefined });
    raw = new RawBucket(await stores.connect(), bucket);
  });
  afterAll(() => stores.close());

  const ttl = (seconds: unknown) => (variant.ttls ? { "Nats-TTL": seconds } : {});
  const stored = (id: string) => raw.get(`s.${store.handleOf(id)}`);

  it("has exactly these headers when it is created, and the data as its value", async () => {
    const data = { user: "grace", cart: [1, { a: null }] };
    const { record } = await store.save("written", data, { ttl: 59_400 });
    const { headers, value } = await stored("written");
    expect(Buffer.from(value).toString()).toBe(JSON.stringify(data));
    expect(headers).toEqual({
      "Session-Format": "1",
      "Session-Created": String(record?.createdAt),
      "Session-Expires": String(record?.expiresAt),
      "Session-Write": "create",
      "Nats-Expected-Last-Subject-Sequence": "0",
      ...ttl("60s"),
    });
  });

  it("says which kind of write stored it and on which revision that write was based", async () => {
    const first = (await store.save("later", { n: 1 }, { ttl: 60_000 })).record ?? undefined;
    const second = (await store.save("later", { n: 2 }, { record: first, ttl: 60_000 })).record ?? undefined;
    expect((await stored("later")).headers).toMatchObject({
      "Session-Write": "update",
      "Nats-Expected-Last-Subject-Sequence": String(first?.revision),
      ...ttl("60s"),
    });
    const { record } = await store.touch("later", second as never, { ttl: 120_000 });
    const { headers, value } = await stored("later");
    expect(Buffer.from(value).toString()).toBe('{"n":2}');
    expect(headers).toMatchObject({
      "Session-Write": "touch",
      "Session-Created": String(first?.createdAt),
      "Session-Expires": String(record?.expiresAt),
      "Nats-Expected-Last-Subject-Sequence": String(second?.revision),
      ...ttl("120s"),
    });
  });

  it("is an empty tombstone after the end of the session, which outlives the session's ttl", async () => {
    const { record } = await store.save("ended", { secret: 1 }, { ttl: 60_000 });
    await store.destroy("ended");
    const { headers, value } = await stored("ended");
    expect(value).toHaveLength(0);
    expect(headers).toMatchObject({
      "KV-Operation": "DEL",
      "Session-Write": "destroy",
      "Session-Expires": String(record?.expiresAt),
      "Nats-Expected-Last-Subject-Sequence": String(record?.revision),
      ...ttl(expect.stringMatching(/^6[56]\ds$/)),
    });
  });

  /** An entry whose headers pose as those that the server adds. What the server says has to win. */
  const forge = async (id: string) => {
    const now = Date.now();
    await putEntry(await stores.connect(), bucket, `s.${store.handleOf(id)}`, '{"n":1}', {
      "Session-Format": "1",
      "Session-Created": String(now),
      "Session-Expires": String(now + 600_000),
      "Session-Write": "create",
      "Nats-Subject": `$KV.${bucket}.s.${store.handleOf("the victim")}`,
      "Nats-Sequence": "777777",
      "Nats-Time-Stamp": "2001-01-01T00:00:00Z",
    });
  };

  it("with forged headers of the server keeps its own handle and revision", async () => {
    await forge("one");
    const record = await store.load("one");
    expect(record?.revision).toBeLessThan(777_777);
    expect((await store.save("one", { n: 2 }, { record: record ?? undefined })).outcome).toBe("saved");
    expect(await store.destroy("one")).toBe(true);
  });

  it("with forged headers of the server is listed and told in the feed under its own handle", async () => {
    const changes = store.changes();
    await changes.ready;
    await forge("two");
    const { value: change } = await changes.next();
    await changes.return();
    expect(change).toMatchObject({ type: "created", handle: store.handleOf("two") });
    // Servers before 2.11 republish no time.
    if (variant.ttls) expect((change as SessionChange).at).toBeGreaterThan(Date.now() - 3_600_000);
    const handles: string[] = [];
    for await (const handle of store.handles()) handles.push(handle);
    expect(handles).toContain(store.handleOf("two"));
    expect(handles).not.toContain(store.handleOf("the victim"));
  });
});
