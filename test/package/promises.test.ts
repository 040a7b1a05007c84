import { randomBytes } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { startNatsServer } from "nats-dev-server";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { blocksIn, pages } from "./documents.js";

// Step by step, what the pages on operating and on encryption tell an operator to do.
let nc: NatsConnection;
const user = (data: { userId?: string }) => data.userId;

beforeAll(async () => {
  nc = await connect({ servers: inject("currentServer") });
});

afterAll(() => nc?.close());

function open(options: SessionStoreOptions): SessionStore<{ userId?: string }> {
  return new SessionStore(nc, { timeout: 20_000, ...options });
}

async function listed(store: SessionStore<{ userId?: string }>): Promise<string[]> {
  const handles: string[] = [];
  for await (const { handle } of store.listByUser("ada")) handles.push(handle);
  return handles.sort();
}

describe("from outside", () => {
  let bucket: string;
  let kv: KV;

  beforeAll(async () => {
    bucket = newBucket();
    await open({ bucket }).ready();
    kv = await new Kvm(nc).open(bucket);
  });

  test.each([
    ["without a prefix", undefined],
    ["with a prefix", "shop.eu"],
  ])("the delete of a key ends a session %s, and the feed reports it", async (_what, prefix) => {
    const store = open({ bucket, prefix });
    await store.save("an id", {});
    const changes = store.changes();
    await changes.ready;
    const handle = store.handleOf("an id");
    await kv.delete(`${prefix ? `${prefix}.` : ""}s.${handle}`);
    expect((await changes.next()).value).toMatchObject({ type: "destroyed", handle });
    expect(await store.load("an id")).toBeNull();
    await store.close();
  });

  test("a purge of the stream is noticed by near caches within maxStale, and reported as missed", async () => {
    const own = newBucket();
    const store = open({ bucket: own, cache: { maxStale: 200 } });
    await store.save("an id", {});
    const changes = store.changes();
    await changes.ready;
    await (await jetstreamManager(nc)).streams.purge(`KV_${own}`);
    await until("the session is gone", async () => (await store.load("an id")) === null);
    expect((await changes.next()).value).toEqual({ type: "missed" });
    await store.close();
  });

  test.skipIf(inject("oldServer") === undefined)("server 2.10 refuses a purge of the bucket", async () => {
    const old = await connect({ servers: inject("oldServer") as string });
    const own = newBucket();
    const store = await SessionStore.open(old, { bucket: own, timeout: 20_000 });
    const { streams } = await jetstreamManager(old);
    await expect(streams.purge(`KV_${own}`)).rejects.toThrow("not permitted");
    await store.close();
    await old.close();
  });

  test("the permissions of the page keep other users from writing sessions and from forging changes", async () => {
    const page = (await pages()).find(({ path }) => path.endsWith("docs/operating.md"));
    const [, deny = ""] = blocksIn(page?.text ?? "", "conf").map(({ source }) => source);
    const config = `authorization { users: [ { user: "app", password: "p" }, { user: "other", password: "p", ${deny} } ] }`;
    await using server = await startNatsServer({ config });
    const app = await connect({ servers: server.url, user: "app", pass: "p" });
    const store = await SessionStore.open(app, { bucket: "sessions" });
    const other = await connect({ servers: server.url, user: "other", pass: "p" });
    const refused = new Set<string>();
    void (async () => {
      for await (const status of other.status()) {
        if (status.type === "error") refused.add((status.error as { subject?: string }).subject ?? "");
      }
    })();
    const forbidden = [
      "$KV.sessions.s.x",
      "session-changes.sessions.s.x",
      "$JS.API.STREAM.DELETE.KV_sessions",
      "$JS.API.STREAM.UPDATE.KV_sessions",
      "$JS.API.STREAM.PURGE.KV_sessions",
      "$JS.API.STREAM.MSG.DELETE.KV_sessions",
    ];
    for (const subject of forbidden) other.publish(subject);
    await until("all are refused", () => forbidden.every((subject) => refused.has(subject)));
    other.publish("orders");
    await other.flush();
    expect(refused.size).toBe(forbidden.length);
    await store.close();
    await Promise.all([app.close(), other.close()]);
  });
});

describe("encryption", () => {
  const key = (id: string) => ({ id, key: randomBytes(32) });

  test("is turned on with allowPlain, until every session was written once", async () => {
    const bucket = newBucket();
    const keys = [key("one")];
    const plain = open({ bucket });
    await plain.save("written", {});
    await plain.save("touched", {});
    await plain.save("left", {});

    const moving = open({ bucket, touchAfter: 0, encryption: { keys, allowPlain: true } });
    await moving.save("written", { userId: "ada" }, { record: (await moving.load("written")) ?? undefined });
    const record = await moving.load("touched");
    if (record) await moving.touch("touched", record, { ttl: 90_000_000 });
    expect(await moving.load("left")).not.toBeNull();
    await expect(plain.load("written")).rejects.toMatchObject({ code: "ERR_SESSION_KEY_UNKNOWN" });

    const strict = open({ bucket, encryption: { keys } });
    expect((await strict.load("written"))?.data).toEqual({ userId: "ada" });
    expect((await strict.load("touched"))?.data).toEqual({});
    await expect(strict.load("left")).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
    await Promise.all([plain, moving, strict].map((store) => store.close()));
  });

  test("of user names is turned on, replaced, shortened and turned off", async () => {
    const bucket = newBucket();
    const [first, second] = [randomBytes(32), randomBytes(32)];
    const withSecrets = (...userKeys: Buffer[]) =>
      open({ bucket, user, touchAfter: 0, ...(userKeys.length > 0 && { encryption: { userKeys } }) });
    const write = async (store: SessionStore<{ userId?: string }>) => {
      await store.save("a", { userId: "ada" }, { record: (await store.load("a")) ?? undefined });
    };
    const plain = withSecrets();
    const [a, b] = [plain.handleOf("a"), plain.handleOf("b")];
    await plain.save("a", { userId: "ada" });
    await plain.save("b", { userId: "ada" });

    const keyed = withSecrets(first);
    expect(await listed(keyed)).toEqual([a, b].sort());
    await write(keyed);
    expect(await listed(keyed)).toEqual([a, b].sort());
    // A process that lacks the secret does not list sessions that have moved.
    expect(await listed(plain)).toEqual([b]);

    const replaced = withSecrets(second, first);
    expect(await listed(replaced)).toEqual([a, b].sort());
    await write(replaced);
    const shortened = withSecrets(second);
    expect(await listed(shortened)).toEqual([a, b].sort());
    // What was not written since is not listed any more once its secret is gone.
    await write(keyed);
    expect(await listed(shortened)).toEqual([b]);
    expect(await shortened.load("a")).not.toBeNull();

    await write(plain);
    expect(await listed(plain)).toEqual([a, b].sort());
    await Promise.all([plain, keyed, replaced, shortened].map((store) => store.close()));
  });
});
