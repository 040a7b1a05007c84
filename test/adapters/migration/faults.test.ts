import { type MigrateFrom, NatsStore } from "connect-nats";
import session from "express-session";
import { NatsStore as KoaNatsStore } from "koa-session-nats";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { PATIENCE } from "../../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";
import { until, untilTime } from "../../support/wait.js";
import { Gate } from "../support/gate.js";
import { startOldStore } from "../support/old-stores.js";

const HOUR = 3_600_000;
const PHASES = ["old-first", "new-first", "new-only"] as const;

type Callback = (error?: unknown, data?: session.SessionData | null) => void;

let nc: Connection;
beforeAll(async () => {
  nc = await connectCurrent();
});
afterAll(() => nc.close());

function open(migrateFrom: MigrateFrom<session.Store>, timeout = PATIENCE, bucket = newBucket()): NatsStore {
  const store = new NatsStore(nc, { bucket, timeout, touchAfter: 0, migrateFrom });
  onTestFinished(() => store.close());
  return store;
}

const dataOf = (
  user: string,
  cookie: object = { originalMaxAge: HOUR, expires: new Date(Date.now() + HOUR) },
) => ({ user, cookie: { path: "/", httpOnly: true, ...cookie } }) as unknown as session.SessionData;

const unavailable = { code: "ERR_SESSION_UNAVAILABLE" };

/** An old store that fails in some way. */
function broken(fail: (callback: Callback) => unknown): session.Store {
  const store = new session.MemoryStore();
  const call = (...args: unknown[]) => fail(args.at(-1) as Callback);
  return Object.assign(store, { get: call, set: call, destroy: call });
}

const failures: Record<string, (callback: Callback) => unknown> = {
  "never answers": () => undefined,
  "answers with an error": (callback) => callback(new Error("away")),
  "answers with an error, then with nothing": (callback) => {
    callback(new Error("away"));
    callback(null, null);
  },
  "throws at once": () => {
    throw new Error("away");
  },
  "returns a promise that rejects": () => Promise.reject(new Error("away")),
};

describe.each(PHASES)("in the phase %s", (phase) => {
  for (const [what, fail] of Object.entries(failures)) {
    test(`an old store that ${what} is an outage, never a session that is not there`, async () => {
      const bucket = newBucket();
      await open({ store: new session.MemoryStore() }, PATIENCE, bucket).ready();
      const store = open({ store: broken(fail), phase }, what === "never answers" ? 300 : PATIENCE, bucket);
      await expect(store.get("one")).rejects.toMatchObject(unavailable);
      await expect(store.destroy("one")).rejects.toMatchObject(unavailable);
      let calls = 0;
      const answered = new Promise((resolve) => {
        store.get("two", (error) => {
          calls++;
          resolve(error);
        });
      });
      expect(await answered).toMatchObject(unavailable);
      await new Promise(setImmediate);
      expect(calls).toBe(1);
    });
  }

  test("a session that was ended here while the old store did not answer stays ended", async () => {
    const bucket = newBucket();
    const old = new session.MemoryStore();
    await new Promise((resolve) => old.set("one", dataOf("ada"), resolve));
    const away = open({ store: broken((callback) => callback(new Error("away"))), phase }, PATIENCE, bucket);
    await expect(away.destroy("one")).rejects.toMatchObject(unavailable);
    expect(await open({ store: old, phase }, PATIENCE, bucket).get("one")).toBeNull();
  });

  test("a session that is ended while it is read from the old store stays ended", async () => {
    const [asked, answer] = [new Gate(), new Gate()];
    const old = new session.MemoryStore();
    await new Promise((resolve) => old.set("one", dataOf("ada"), resolve));
    const get = old.get.bind(old);
    old.get = (id, callback) => {
      get(id, async (error, data) => {
        asked.open();
        await answer.opened;
        callback(error, data);
      });
    };
    const store = open({ store: old, phase });
    const loading = store.get("one");
    await asked.opened;
    await store.sessions.save("other", dataOf("bob"));
    await store.destroy("one");
    answer.open();
    expect(await loading).toBeNull();
    expect(await store.sessions.load("one")).toBeNull();
  });

  test("an error with the code ENOENT says that there is no session, as express-session has it", async () => {
    const missing = Object.assign(new Error("no such file"), { code: "ENOENT" });
    expect(await open({ store: broken((callback) => callback(missing)), phase }).get("one")).toBeNull();
  });

  test("a session that express-session did not write is an error that says so", async () => {
    const odd = { user: "ada" } as unknown as session.SessionData;
    const store = open({ store: broken((callback) => callback(null, odd)), phase });
    await expect(store.get("one")).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
  });

  test("a session that is nested too deep for any framework is an error that says so", async () => {
    let deep: object = {};
    for (let level = 0; level < 5000; level++) deep = { deep };
    const odd = { ...dataOf("ada"), deep } as unknown as session.SessionData;
    const store = open({ store: broken((callback) => callback(null, odd)), phase });
    await expect(store.get("one")).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
  });

  test("the life of a session is that of its cookie", async () => {
    const old = new session.MemoryStore();
    const soon = new Date(Date.now() + 60_000);
    const cookies = { age: { originalMaxAge: HOUR }, date: { expires: soon }, none: { expires: null } };
    for (const [id, cookie] of Object.entries(cookies)) {
      await new Promise((resolve) => old.set(id, dataOf("ada", cookie), resolve));
    }
    const store = open({ store: old, phase });
    const start = Date.now();
    const expiryOf = async (id: string) => {
      await store.get(id);
      return (await store.sessions.load(id))?.expiresAt as number;
    };
    expect(await expiryOf("age")).toBeGreaterThanOrEqual(start + HOUR);
    expect(Math.abs((await expiryOf("date")) - soon.getTime())).toBeLessThan(1000);
    expect(await expiryOf("none")).toBeGreaterThanOrEqual(start + 24 * HOUR);
  });
});

test("in the phase new-first, a session that is here is served and stored while the old store is away", async () => {
  const bucket = newBucket();
  const warnings: string[] = [];
  const note = (warning: Error & { code?: string }) => warnings.push(String(warning.code));
  process.on("warning", note);
  onTestFinished(() => void process.off("warning", note));
  await open({ store: new session.MemoryStore(), phase: "new-first" }, PATIENCE, bucket).set(
    "one",
    dataOf("ada"),
  );
  const store = open(
    { store: broken((callback) => callback(new Error("away"))), phase: "new-first" },
    PATIENCE,
    bucket,
  );
  const loaded = (await store.get("one")) as session.SessionData;
  await store.set("one", Object.assign(loaded, { cart: 1 }));
  expect(await store.get("one")).toMatchObject({ user: "ada", cart: 1 });
  await until("the warning", () => warnings.includes("NATS_SESSION_OLD_STORE"));
});

test("a database that is away and comes back has signed nobody out", async ({ skip }) => {
  const database = await startOldStore("connect-pg-simple");
  if (!database) return skip();
  onTestFinished(() => database.stop());
  const [old, connection] = await database.open();
  onTestFinished(() => connection.close().then(() => {}));
  for (const id of ["met", "not met"]) {
    await new Promise<void>((resolve, reject) => {
      old.set(id, dataOf("ada"), (error: unknown) => (error ? reject(error) : resolve()));
    });
  }
  const bucket = newBucket();
  const stores = PHASES.map((phase) => [phase, open({ store: old, phase }, PATIENCE, bucket)] as const);
  for (const [, store] of stores) expect(await store.get("met")).toMatchObject({ user: "ada" });
  await database.kill();
  for (const [phase, store] of stores) {
    await expect(store.get("not met"), phase).rejects.toMatchObject(unavailable);
    // With the old store first it may have been ended there.
    if (phase === "old-first") await expect(store.get("met")).rejects.toMatchObject(unavailable);
    else expect(await store.get("met"), phase).toMatchObject({ user: "ada" });
  }
  await database.restart();
  for (const [phase, store] of stores) {
    expect(await store.get("met"), phase).toMatchObject({ user: "ada" });
    expect(await store.get("not met"), phase).toMatchObject({ user: "ada" });
  }
});

test("in the phase new-only, the old store gets no session", async () => {
  const old = new session.MemoryStore();
  await open({ store: old }).set("one", dataOf("ada"));
  expect(await new Promise((resolve) => old.get("one", (_error, data) => resolve(data)))).toBeUndefined();
});

test("a session that has reached its absoluteTtl does not move in again", async () => {
  const old = new session.MemoryStore();
  await new Promise((resolve) => old.set("one", dataOf("ada"), resolve));
  const bucket = newBucket();
  const store = new NatsStore(nc, {
    bucket,
    timeout: PATIENCE,
    absoluteTtl: 50,
    migrateFrom: { store: old },
  });
  onTestFinished(() => store.close());
  expect(await store.get("one")).toMatchObject({ user: "ada" });
  const { expiresAt } = (await store.sessions.load("one")) ?? { expiresAt: 0 };
  await untilTime(expiresAt);
  expect(await store.get("one")).toBeNull();
});

test("a wrong option is a TypeError that says what was expected", () => {
  const wrong: [unknown, RegExp][] = [
    [{}, /migrateFrom\.store/],
    [{ store: {} }, /get, set, destroy/],
    [{ store: new session.MemoryStore(), phase: "both" }, /old-first, new-first, new-only/],
    [{ store: new session.MemoryStore(), phases: "old-first" }, /phases/],
  ];
  for (const [migrateFrom, message] of wrong) {
    expect(() => new NatsStore(nc, { migrateFrom } as never)).toThrow(message);
    expect(() => new KoaNatsStore(nc, { migrateFrom } as never)).toThrow(message);
  }
  const sessions = new SessionStore(nc);
  onTestFinished(() => sessions.close());
  expect(() => new NatsStore(sessions, { migrateFrom: { store: sessions } })).toThrow(/another store/);
});
