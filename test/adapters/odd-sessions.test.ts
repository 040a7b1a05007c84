import { runInNewContext } from "node:vm";
import { NatsStore as ExpressStore } from "connect-nats";
import { NatsStore as KoaStore } from "koa-session-nats";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";

let nc: Connection;
let sessions: SessionStore<Record<string, unknown>>;

beforeAll(async () => {
  nc = await connectCurrent();
  sessions = await SessionStore.open(nc, { bucket: newBucket(), timeout: 30_000, touchAfter: 0 });
});

afterAll(async () => {
  await sessions.close();
  await nc.close();
});

type Store = { set(...args: unknown[]): unknown; touch(...args: unknown[]): unknown };

/** The two ways to call the store of Express, and the one to call Koa's. */
const calls: Record<string, (method: "set" | "touch", id: string, session: unknown) => Promise<unknown>> = {
  "Express, with a callback": (method, id, session) => {
    const store = new ExpressStore(sessions) as unknown as Store;
    const answers: unknown[] = [];
    return new Promise((resolve, reject) => {
      const answer = (error: unknown) => {
        answers.push(error);
        // A second call would come before this.
        setImmediate(() => {
          expect(answers).toHaveLength(1);
          if (error) reject(error);
          else resolve(undefined);
        });
      };
      store[method](id, session, answer);
      expect(answers).toEqual([]);
    });
  },
  "Express, with a promise": (method, id, session) =>
    (new ExpressStore(sessions) as unknown as Store)[method](id, session) as Promise<unknown>,
  Koa: (_method, id, session) => new KoaStore(sessions).set(id, session as never, 3_600_000),
};

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const NO_SESSIONS: Record<string, unknown> = {
  null: null,
  undefined: undefined,
  "a number": 5,
  "a text": "user=ada",
  true: true,
  "a symbol": Symbol("session"),
  "a function": () => {},
  "an array": [{ user: "ada" }],
  "an array of another realm": runInNewContext("[1]"),
  "a revoked Proxy": revoked(),
};

const PLAIN = { cookie: { path: "/", originalMaxAge: 3_600_000 }, user: "ada" };

class Visitor {
  cookie = PLAIN.cookie;
  user = PLAIN.user;
}

const SESSIONS: Record<string, object> = {
  "a plain object": { ...PLAIN },
  "a frozen object": Object.freeze({ ...PLAIN, cookie: Object.freeze({ ...PLAIN.cookie }) }),
  "a sealed object": Object.seal({ ...PLAIN }),
  "a Proxy": new Proxy({ ...PLAIN }, {}),
  "an object of another realm": runInNewContext(`(${JSON.stringify(PLAIN)})`),
  "an object without a prototype": Object.assign(Object.create(null), PLAIN),
  "an instance of a class": new Visitor(),
};

describe.each(Object.entries(calls))("%s", (name, call) => {
  const methods = name === "Koa" ? (["set"] as const) : (["set", "touch"] as const);

  describe.each(methods)("%s", (method) => {
    test.for(Object.entries(NO_SESSIONS))("of %s is a TypeError, and the session stays", async ([, odd]) => {
      const id = `${name} ${method}`;
      await sessions.save(id, { ...PLAIN });
      await expect(call(method, id, odd)).rejects.toBeInstanceOf(TypeError);
      expect((await sessions.load(id))?.data).toEqual(PLAIN);
    });
  });

  test.for(Object.entries(SESSIONS))("set of %s stores its keys", async ([what, session]) => {
    const id = `${name} ${what}`;
    await call("set", id, session);
    expect((await sessions.load(id))?.data).toEqual(name === "Koa" ? { ...PLAIN, ...session } : PLAIN);
  });

  test("set of an object whose getter throws rejects with what it throws, or with its cause", async () => {
    const id = `${name} getter`;
    const mistake = new Error("a mistake of the application");
    const odd = {
      ...PLAIN,
      get name() {
        throw mistake;
      },
    };
    const error = (await call("set", id, odd).catch((rejected) => rejected)) as Error;
    expect([error, error.cause]).toContain(mistake);
    expect(await sessions.load(id)).toBeNull();
  });

  test("set of an object with a cycle is ERR_SESSION_SERIALIZE", async () => {
    const odd: Record<string, unknown> = { ...PLAIN };
    odd.itself = odd;
    await expect(call("set", `${name} cycle`, odd)).rejects.toMatchObject({ code: "ERR_SESSION_SERIALIZE" });
  });
});

describe("an object that stands for a session which express-session has loaded", () => {
  const stands: Record<string, (session: object) => object> = {
    "a Proxy of it": (session) => new Proxy(session, {}),
    "Object.create of it": (session) => Object.create(session),
    "it, frozen": (session) => Object.freeze(session),
    "a copy of its keys": (session) => ({ ...session }),
  };

  test.for(Object.entries(stands))(
    "%s is stored whole and merges with other requests",
    async ([what, standFor]) => {
      const store = new ExpressStore(sessions);
      await sessions.save(what, { ...PLAIN });
      const req = { sessionID: what, sessionStore: store };
      const loaded = store.createSession(req as never, (await store.get(what)) as never);
      Object.assign(loaded, { mine: 1 });
      const object = standFor(loaded);
      // Meanwhile another request changes the session.
      const other = await sessions.load(what);
      await sessions.save(what, { ...PLAIN, theirs: 2 }, { record: other ?? undefined });
      await store.set(what, object as never);
      expect((await sessions.load(what))?.data).toMatchObject({ ...PLAIN, mine: 1, theirs: 2 });
      await store.touch(what, object as never);
      expect((await sessions.load(what))?.data).toMatchObject({ ...PLAIN, mine: 1, theirs: 2 });
    },
  );

  test.for(Object.entries(stands))(
    "%s does not bring back what another request has ended",
    async ([what, standFor]) => {
      const store = new ExpressStore(sessions);
      const id = `ended, ${what}`;
      await sessions.save(id, { ...PLAIN });
      const req = { sessionID: id, sessionStore: store };
      const object = standFor(store.createSession(req as never, (await store.get(id)) as never));
      await sessions.destroy(id);
      await store.set(id, object as never);
      await store.touch(id, object as never);
      expect(await sessions.load(id)).toBeNull();
    },
  );
});
