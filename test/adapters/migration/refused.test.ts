import { NatsStore, type NatsStoreOptions } from "connect-nats";
import session from "express-session";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Gate } from "../../support/gate.js";
import { PATIENCE } from "../../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";

const HOUR = 3_600_000;
const LIMIT = { code: "ERR_SESSION_LIMIT" };

type Data = session.SessionData & { user?: string };

let nc: Connection;
beforeAll(async () => {
  nc = await connectCurrent();
});
afterAll(() => nc.close());

function options(others: NatsStoreOptions): NatsStoreOptions {
  const user = (data: object) => (data as Data).user;
  return { bucket: newBucket(), timeout: PATIENCE, touchAfter: 0, user, ...others };
}

function open(others: NatsStoreOptions, connection = nc): NatsStore {
  const store = new NatsStore(connection, options(others));
  onTestFinished(() => store.close());
  return store;
}

const dataOf = (user: string, others: object = {}) =>
  ({ user, ...others, cookie: { path: "/", httpOnly: true, originalMaxAge: HOUR } }) as unknown as Data;

const inOld = (old: session.Store, id: string) =>
  new Promise((resolve, reject) => old.get(id, (error, data) => (error ? reject(error) : resolve(data))));

const setInOld = (old: session.Store, id: string, data: Data) =>
  new Promise<void>((resolve, reject) => old.set(id, data, (error) => (error ? reject(error) : resolve())));

/** A request to a store, which loads and rotates a session as express-session does. */
async function requestOf(store: NatsStore, id: string, newId: string) {
  const req = { sessionID: id, sessionStore: store } as unknown as Parameters<NatsStore["createSession"]>[0];
  store.generate = (request) => {
    request.sessionID = newId;
    const Session = session.Session as unknown as new (request: object, data: object) => session.Session;
    request.session = new Session(request, {}) as never;
    request.session.cookie = new session.Cookie() as never;
  };
  store.createSession(req, (await store.get(id)) as Data);
  return req;
}

describe.each(["old-first", "new-first"] as const)("in the phase %s", (phase) => {
  test("a sign-in that the limit refuses leaves no session in either store", async () => {
    const old = new session.MemoryStore();
    const store = open({ maxSessionsPerUser: 1, onLimit: "refuse", migrateFrom: { store: old, phase } });
    await store.set("one", dataOf("ada"));
    await expect(store.set("two", dataOf("ada"))).rejects.toMatchObject(LIMIT);
    expect(await inOld(old, "two")).toBeUndefined();
    expect(await store.get("two")).toBeNull();
    expect(await store.get("one")).toMatchObject({ user: "ada" });
  });

  test("a session too large for a message is refused once, not at every load", async () => {
    const old = new session.MemoryStore();
    const store = open({ migrateFrom: { store: old, phase } });
    const large = dataOf("ada", { upload: "x".repeat(1_100_000) });
    await expect(store.set("one", large)).rejects.toMatchObject({ code: "ERR_SESSION_TOO_LARGE" });
    expect(await store.get("one")).toBeNull();
  });

  test("a rotation that the limit refuses leaves its new session in neither store", async () => {
    const old = new session.MemoryStore();
    const store = open({ maxSessionsPerUser: 1, onLimit: "refuse", migrateFrom: { store: old, phase } });
    await store.set("one", dataOf("ada"));
    await store.set("two", dataOf("bob"));
    const req = await requestOf(store, "two", "three");
    (req.session as Data).user = "ada";
    await expect(store.rotate(req)).rejects.toMatchObject(LIMIT);
    expect(await inOld(old, "three")).toBeUndefined();
    expect(await store.get("two")).toMatchObject({ user: "bob" });
  });

  test("a session that is there stays in both stores as it was, when data given for its id are refused", async () => {
    const old = new session.MemoryStore();
    const store = open({ maxSessionsPerUser: 1, onLimit: "refuse", migrateFrom: { store: old, phase } });
    await store.set("one", dataOf("ada"));
    await store.set("two", dataOf("bob"));
    await expect(store.set("two", dataOf("ada"))).rejects.toMatchObject(LIMIT);
    expect(await inOld(old, "two")).toMatchObject({ user: "bob" });
    expect(await store.get("two")).toMatchObject({ user: "bob" });
  });

  test("what is copied to another bucket is not a sign-in there: its limit refuses no rotation", async () => {
    const limit = { maxSessionsPerUser: 1, onLimit: "refuse" } as const;
    const old = new SessionStore<Data>(nc, options(limit));
    onTestFinished(() => old.close());
    const store = open({ ...limit, migrateFrom: { store: old, phase } });
    await store.set("one", dataOf("ada"));
    const req = await requestOf(store, "one", "two");
    await store.rotate(req);
    expect(await store.get("two")).toMatchObject({ user: "ada" });
    expect((await old.load("two"))?.data).toMatchObject({ user: "ada" });
    expect(await old.load("one")).toBeNull();
    await expect(store.set("three", dataOf("ada"))).rejects.toMatchObject(LIMIT);
  });
});

test.each(["refuse", "end-oldest"] as const)(
  "a session that an old process has signed in is served whatever the limit, with onLimit %s",
  async (onLimit) => {
    const old = new session.MemoryStore();
    const migrateFrom = { store: old, phase: "old-first" } as const;
    const store = open({ maxSessionsPerUser: 1, onLimit, migrateFrom });
    await store.set("one", dataOf("ada"));
    const anonymous = { cart: 1, cookie: dataOf("").cookie } as unknown as Data;
    await store.set("two", anonymous);
    await setInOld(old, "two", Object.assign((await inOld(old, "two")) as Data, { user: "ada" }));
    expect(await store.get("two")).toMatchObject({ user: "ada", cart: 1 });
    expect(await store.get("one")).toMatchObject({ user: "ada" });
  },
);

test("a session that begins in another process while it is loaded stays", async () => {
  const old = new session.MemoryStore();
  const shared = { bucket: newBucket(), migrateFrom: { store: old, phase: "old-first" } } as const;
  const gate = new Gate(nc);
  const [one, other] = [open(shared, gate.connection), open(shared)];
  await Promise.all([one.ready(), other.ready()]);
  gate.hold((subject) => subject.includes("DIRECT.GET"));
  const loading = one.get("new");
  await gate.holding();
  await other.set("new", dataOf("ada"));
  gate.release();
  await loading;
  expect(await other.get("new")).toMatchObject({ user: "ada" });
});
