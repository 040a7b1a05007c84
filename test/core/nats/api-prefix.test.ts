import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import { SessionAdmin } from "nats-session-store/admin";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { confBlocksOf } from "../../support/conf-blocks.js";
import { openPatient, PATIENCE } from "../../support/patient.js";
import { until } from "../../support/wait.js";

const apiPrefix = "sessions.js";

let server: NatsServer;
let app: NatsConnection;
let storage: NatsConnection;
const stores: SessionStore[] = [];

beforeAll(async () => {
  const [, conf = ""] = await confBlocksOf("scaling.md");
  server = await startNatsServer({ config: conf.replaceAll('"a password"', "p") });
  app = await connect({ servers: server.url, user: "app", pass: "p", inboxPrefix: "_INBOX_sessions" });
  storage = await connect({ servers: server.url, user: "storage", pass: "p" });
  await (await openPatient(storage)).close();
});
afterEach(() => Promise.all(stores.splice(0).map((store) => store.close())));
afterAll(async () => {
  await Promise.all([app?.close(), storage?.close()]);
  await server?.stop();
});

async function open(nc: NatsConnection, options: SessionStoreOptions = {}): Promise<SessionStore> {
  const store = await openPatient(nc, { user: (data) => data.user, ...options });
  stores.push(store);
  return store;
}

it("a user of the documentation's importing account has every permission that a store needs", async () => {
  const admin = new SessionAdmin(app, { apiPrefix, timeout: PATIENCE });
  const trials = await admin.tryPermissions();
  await admin.close();
  expect(trials.filter(({ result }) => result !== "allowed")).toEqual([]);
  expect(trials.length).toBe(7);
});

it.each([apiPrefix, `${apiPrefix}.`])(
  "a store with the prefix %s shares the bucket of the other account",
  async (prefix) => {
    const own = await open(storage);
    const store = await open(app, { apiPrefix: prefix, createBucket: false, cache: { maxStale: 60_000 } });
    const changes = store.changes();
    await changes.ready;
    const { record } = await store.save("a", { user: "ada", n: 1 });
    expect((await own.load("a"))?.data).toEqual({ user: "ada", n: 1 });
    expect((await changes.next()).value).toMatchObject({ type: "created" });
    expect((await store.save("a", { user: "ada", n: 2 }, { record: record as never })).outcome).toBe("saved");
    expect((await changes.next()).value).toMatchObject({ type: "updated" });
    await until("an answer from the cache", async () => {
      const before = store.cacheStats()?.hits ?? 0;
      await store.load("a");
      return (store.cacheStats()?.hits ?? 0) > before;
    });
    for await (const { data } of store.listByUser("ada")) expect(data.n).toBe(2);
    expect(await store.count({ exact: true })).toBe(1);
    expect(await own.destroyByUser("ada")).toBe(1);
    expect((await changes.next()).value).toMatchObject({ type: "destroyed" });
    expect(await store.load("a")).toBeNull();
  },
);

it("errors name the prefix that was asked", async () => {
  const missing = openPatient(app, { apiPrefix: "sessions.other" });
  await expect(missing).rejects.toMatchObject({
    code: "ERR_SESSION_PERMISSION",
    message: expect.stringContaining("sessions.other.STREAM.INFO.KV_sessions"),
  });
  const other = openPatient(app, { apiPrefix, bucket: "others", timeout: 300 });
  await expect(other).rejects.toMatchObject({
    code: "ERR_SESSION_UNAVAILABLE",
    message: expect.stringContaining('behind the API prefix "sessions.js"'),
  });
});

it("both of `domain` and `apiPrefix`, or one that is no part of a subject, is a TypeError", () => {
  const make = (options: SessionStoreOptions) => () => new SessionAdmin(app, options);
  expect(make({ domain: "hub", apiPrefix })).toThrow(/Expected `domain` or `apiPrefix`, got both/);
  for (const domain of ["", "a.b", "a b", "*", 1 as never]) {
    expect(make({ domain })).toThrow(TypeError);
  }
  for (const prefix of ["", ".", "a..b", "a.>", "a b", 1 as never]) {
    expect(make({ apiPrefix: prefix })).toThrow(TypeError);
  }
});
