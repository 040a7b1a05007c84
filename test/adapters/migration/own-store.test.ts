import { NatsStore } from "connect-nats";
import type session from "express-session";
import { NatsStore as KoaNatsStore } from "koa-session-nats";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { PATIENCE } from "../../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";

const HOUR = 3_600_000;

let nc: Connection;
beforeAll(async () => {
  nc = await connectCurrent();
});
afterAll(() => nc.close());

interface Data {
  user?: string;
  [key: string]: unknown;
}

const user = (data: Data) => data.user;

function core(options: object = {}): SessionStore<Data> {
  const store = new SessionStore<Data>(nc, {
    bucket: newBucket(),
    timeout: PATIENCE,
    touchAfter: 0,
    user,
    ...options,
  });
  onTestFinished(() => store.close());
  return store;
}

const cookie = { originalMaxAge: HOUR, path: "/", httpOnly: true } as unknown as session.Cookie;

test("a session of another bucket keeps its handle, its age, its end and its user", async () => {
  const [old, now] = [core(), core()];
  const { record: before } = await old.save("one", { user: "ada", cookie }, { ttl: HOUR });
  const store = new NatsStore(now, { migrateFrom: { store: old } });
  expect(await store.get("one")).toMatchObject({ user: "ada" });
  expect(await now.load("one")).toMatchObject({
    handle: before?.handle,
    createdAt: before?.createdAt,
    expiresAt: before?.expiresAt,
  });
  const handles: string[] = [];
  for await (const { handle } of now.listByUser("ada")) handles.push(handle);
  expect(handles).toEqual([before?.handle]);
});

test("the store of an adapter is taken as what it is", async () => {
  const old = new KoaNatsStore(core());
  await old.set("one", { user: "ada" }, HOUR);
  const store = new KoaNatsStore(core(), { migrateFrom: { store: old, phase: "new-first" } });
  const ctx = {};
  const data = (await store.get("one", HOUR, { ctx })) as Data;
  expect(data).toMatchObject({ user: "ada" });
  await store.set("one", { ...data, cart: 1 }, HOUR, { ctx });
  expect(await old.get("one")).toMatchObject({ user: "ada", cart: 1 });
  await store.destroy("one");
  expect(await old.sessions.load("one")).toBeNull();
});

test.each(Object.entries({ "connect-nats": NatsStore, "koa-session-nats": KoaNatsStore }))(
  "a store of %s whose own sessions still move in is refused: those that have not come yet would be signed out",
  async (_name, Store) => {
    const [first, second, third] = [core(), core(), core()];
    const moving = new Store(second, { migrateFrom: { store: first } });
    for (const store of [moving, second]) {
      expect(() => new Store(third, { migrateFrom: { store: store as never } })).toThrow(
        /without a `migrateFrom` of its own/,
      );
    }
  },
);

test("processes of both buckets lose no change of each other", async () => {
  const old = new NatsStore(core());
  const store = new NatsStore(core(), { migrateFrom: { store: old, phase: "old-first" } });
  await old.set("one", { user: "ada", cookie } as unknown as session.SessionData);
  const slow = (await old.get("one")) as session.SessionData & Data;
  const quick = (await store.get("one")) as session.SessionData & Data;
  quick.quick = 1;
  await store.set("one", quick);
  slow.slow = 1;
  await old.set("one", slow);
  expect(await store.get("one")).toMatchObject({ user: "ada", quick: 1, slow: 1 });
  expect(await old.get("one")).toMatchObject({ user: "ada", quick: 1, slow: 1 });
});

test("what a migration remembers is not part of what a store gives", async () => {
  const old = new NatsStore(core());
  const store = new NatsStore(core(), { migrateFrom: { store: old, phase: "old-first" } });
  await old.set("one", { user: "ada", cookie } as unknown as session.SessionData);
  const data = (await store.get("one")) as session.SessionData;
  await store.set("one", Object.assign(data, { cart: 1 }));
  expect(Object.keys((await store.get("one")) ?? {}).sort()).toEqual(["cart", "cookie", "user"]);
  expect((await store.all()).map((each) => Object.keys(each).sort())).toEqual([["cart", "cookie", "user"]]);
});

test("a limit of sessions ends none that move in", async () => {
  const old = core();
  for (const id of ["one", "two", "three"]) await old.save(id, { user: "ada", cookie }, { ttl: HOUR });
  for (const onLimit of ["end-oldest", "refuse"] as const) {
    const store = new NatsStore(core({ maxSessionsPerUser: 1, onLimit }), { migrateFrom: { store: old } });
    for (const id of ["one", "two", "three"]) expect(await store.get(id)).toMatchObject({ user: "ada" });
    expect(await store.sessions.count({ exact: true })).toBe(3);
  }
});
