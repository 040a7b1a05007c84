import type { NatsStore } from "koa-session-nats";
import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { until, untilTime } from "../support/wait.js";
import { stopApps } from "./support/app.js";
import { entryOf } from "./support/entry.js";
import { type KoaVisit, koaFramework } from "./support/koa.js";
import { PATIENT } from "./support/servers.js";
import type { Visitor } from "./support/visitor.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

const openStore = (options: SessionStoreOptions = {}) =>
  koaFramework.Store.open(nc, { bucket: newBucket(), timeout: PATIENT, ...options });

const idOf = (visitor: Visitor<KoaVisit>) => koaFramework.idOf(visitor) as string;
const expiryOf = async (store: NatsStore, visitor: Visitor<KoaVisit>) =>
  (await store.sessions.load(idOf(visitor)))?.expiresAt ?? 0;

const signIn = ({ session }: KoaVisit) => {
  session.user = "ada";
};

describe("how long a session of koa-session lives", () => {
  test("by default for a day, which may be all that maxTtl allows", async () => {
    const store = await openStore({ maxTtl: DAY });
    const app = await koaFramework.start(store);
    const ada = app.visitor();
    const sent = Date.now();
    await ada.visit(signIn);
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
    const end = await expiryOf(store, ada);
    expect(end).toBeGreaterThanOrEqual(sent + DAY);
    expect(end).toBeLessThanOrEqual(Date.now() + DAY);
    expect(app.failures).toEqual([]);
  });

  test("for its maxAge, without the ten seconds that koa-session adds for stores", async () => {
    const store = await openStore();
    const app = await koaFramework.start(store, { maxAge: HOUR });
    const ada = app.visitor();
    await ada.visit(signIn);
    expect(await expiryOf(store, ada)).toBeLessThanOrEqual(Date.now() + HOUR);
  });

  test("the default of a day is an error where maxTtl is less", async () => {
    const store = await openStore({ maxTtl: DAY - 1 });
    const app = await koaFramework.start(store);
    expect(await app.visitor().visit(signIn)).toMatchObject({
      status: 500,
      code: "ERR_SESSION_TTL_TOO_LONG",
    });
    expect(await store.sessions.count()).toBe(0);
  });

  test("rolling: a visit that changes nothing is a touch", async () => {
    const bucket = newBucket();
    const store = await openStore({ bucket, touchAfter: 0 });
    const app = await koaFramework.start(store, { rolling: true, maxAge: HOUR });
    const ada = app.visitor();
    await ada.visit(signIn);
    const created = await entryOf(nc, bucket, idOf(ada));
    expect(created).toMatchObject({ write: "create" });
    // A touch needs the clock to have moved.
    await until("a touch", async () => {
      await ada.visit();
      return (await entryOf(nc, bucket, idOf(ada)))?.write === "touch";
    });
    expect((await entryOf(nc, bucket, idOf(ada)))?.text).toBe(created?.text);

    await ada.visit(({ session }) => {
      session.views = 1;
    });
    expect(await entryOf(nc, bucket, idOf(ada))).toMatchObject({ write: "update" });
  });

  test("rolling: soon after the last write nothing is written", async () => {
    const bucket = newBucket();
    const app = await koaFramework.start(await openStore({ bucket }), { rolling: true, maxAge: HOUR });
    const ada = app.visitor();
    await ada.visit(signIn);
    const created = await entryOf(nc, bucket, idOf(ada));
    await ada.visit();
    expect((await entryOf(nc, bucket, idOf(ada)))?.revision).toBe(created?.revision);
  });

  test("neither rolling nor renew: visits that change nothing write nothing", async () => {
    const bucket = newBucket();
    const app = await koaFramework.start(await openStore({ bucket, touchAfter: 0 }), { maxAge: HOUR });
    const ada = app.visitor();
    await ada.visit(signIn);
    const created = await entryOf(nc, bucket, idOf(ada));
    const answer = await ada.visit(({ session }) => session.user);
    expect(answer).toMatchObject({ result: "ada", setCookie: [] });
    expect((await entryOf(nc, bucket, idOf(ada)))?.revision).toBe(created?.revision);
  });

  test("renew: it begins again in its second half, and not before", async () => {
    const maxAge = 7000;
    const bucket = newBucket();
    const store = await openStore({ bucket, touchAfter: 0 });
    const app = await koaFramework.start(store, { renew: true, maxAge });
    const ada = app.visitor();
    await ada.visit(signIn);
    const created = await entryOf(nc, bucket, idOf(ada));
    const firstEnd = await expiryOf(store, ada);
    await ada.visit();
    expect((await entryOf(nc, bucket, idOf(ada)))?.revision).toBe(created?.revision);

    await untilTime(firstEnd - maxAge / 2);
    const sent = Date.now();
    const renewing = await ada.visit();
    expect(renewing.setCookie.join()).toContain("koa.sess=");
    expect(await expiryOf(store, ada)).toBeGreaterThanOrEqual(sent + maxAge);
    expect(await entryOf(nc, bucket, idOf(ada))).toMatchObject({ write: "touch" });

    await untilTime(firstEnd);
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("a maxAge of its own lasts, whatever the application's is", async () => {
    const store = await openStore();
    const app = await koaFramework.start(store, { maxAge: HOUR });
    const ada = app.visitor();
    await ada.visit((visit) => {
      signIn(visit);
      visit.setMaxAge(60_000);
    });
    expect(await expiryOf(store, ada)).toBeLessThanOrEqual(Date.now() + 60_000);
    expect((await ada.visit(({ ctx }) => ctx.session?.maxAge)).result).toBe(60_000);
  });
});

describe('maxAge: "session" of koa-session', () => {
  const start = async (bucket = newBucket()) => {
    const store = await openStore({ bucket, ttl: HOUR });
    const app = await koaFramework.start(store, { maxAge: "session" });
    const ada = app.visitor();
    const stored = async () => JSON.parse((await entryOf(nc, bucket, idOf(ada)))?.text || "null");
    return { store, app, ada, stored };
  };

  test("lives for the store's ttl and has a cookie that ends with the browser", async () => {
    const { store, ada, stored } = await start();
    const sent = Date.now();
    const { setCookie } = await ada.visit(signIn);
    expect(setCookie).toHaveLength(2);
    for (const line of setCookie) expect(line).not.toMatch(/expires|max-age/i);
    expect(await stored()).toEqual({ user: "ada", _session: true });
    const end = await expiryOf(store, ada);
    expect(end).toBeGreaterThanOrEqual(sent + HOUR);
    expect(end).toBeLessThanOrEqual(Date.now() + HOUR);
  });

  test("two saves in one request leave it one", async () => {
    const { store, ada, stored } = await start();
    await ada.visit(async (visit) => {
      signIn(visit);
      await visit.save();
      visit.session.views = 1;
    });
    expect(await stored()).toEqual({ user: "ada", views: 1, _session: true });
    expect(await expiryOf(store, ada)).toBeLessThanOrEqual(Date.now() + HOUR);

    // And in the requests after it.
    await ada.visit(async (visit) => {
      visit.session.views = 2;
      await visit.save();
      visit.session.views = 3;
    });
    expect(await stored()).toEqual({ user: "ada", views: 3, _session: true });
    expect(await expiryOf(store, ada)).toBeLessThanOrEqual(Date.now() + HOUR);
  });

  test("a new id leaves it one", async () => {
    const { ada, stored } = await start();
    await ada.visit(async (visit) => {
      signIn(visit);
      await visit.regenerate();
    });
    expect(await stored()).toEqual({ user: "ada", _session: true });
  });

  test("a save and then a new id in one request leave it one", async () => {
    const { store, ada, stored } = await start();
    await ada.visit(async (visit) => {
      signIn(visit);
      await visit.save();
      await visit.regenerate();
    });
    expect(await stored()).toEqual({ user: "ada", _session: true });
    expect(await expiryOf(store, ada)).toBeLessThanOrEqual(Date.now() + HOUR);
  });

  test("a maxAge set in its request ends it", async () => {
    const { store, ada, stored } = await start();
    await ada.visit(async (visit) => {
      signIn(visit);
      await visit.save();
      visit.setMaxAge(60_000);
    });
    expect(await stored()).toEqual({ user: "ada", _maxAge: 60_000 });
    expect(await expiryOf(store, ada)).toBeLessThanOrEqual(Date.now() + 60_000);
  });
});

describe("koa-session's own ways", () => {
  test("regenerate keeps the data", async () => {
    const store = await openStore();
    const app = await koaFramework.start(store);
    const ada = app.visitor();
    await ada.visit(signIn);
    const before = idOf(ada);
    await ada.visit((visit) => visit.regenerate());
    expect(idOf(ada)).not.toBe(before);
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
    expect(await store.sessions.load(before)).toBeNull();
  });

  test("a new object in place of the session keeps its id", async () => {
    const app = await koaFramework.start(await openStore());
    const ada = app.visitor();
    await ada.visit(signIn);
    const before = idOf(ada);
    await ada.visit(({ ctx }) => {
      ctx.session = { user: "grace" };
    });
    expect(idOf(ada)).toBe(before);
    expect((await ada.visit(({ session }) => session.user)).result).toBe("grace");
  });

  test("a key that the application keeps elsewhere than in a cookie leads to the session", async () => {
    let kept = "";
    const externalKey = {
      get: () => kept,
      set: (_ctx: unknown, key: string) => {
        kept = key;
      },
    };
    const app = await koaFramework.start(await openStore(), { externalKey });
    expect(await app.visitor().visit(signIn)).toMatchObject({ status: 200, setCookie: [] });
    expect((await app.visitor().visit(({ session }) => session.user)).result).toBe("ada");
    kept = "";
    expect((await app.visitor().visit(({ session }) => session.user)).result).toBeNull();
  });

  test("autoCommit: false stores what is committed by hand", async () => {
    const app = await koaFramework.start(await openStore(), { autoCommit: false });
    const ada = app.visitor();
    await ada.visit(async (visit) => {
      signIn(visit);
      await visit.ctx.session?.manuallyCommit();
    });
    await ada.visit(({ session }) => {
      session.user = "forgotten";
    });
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("an error of the save at the end of a request is the answer", async () => {
    const store = await openStore({ maxTtl: HOUR });
    const app = await koaFramework.start(store, { maxAge: 2 * HOUR });
    const answer = await app.visitor().visit(signIn);
    expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_TTL_TOO_LONG", setCookie: [] });
    expect(await store.sessions.count()).toBe(0);
  });

  test.each([
    [
      "a cycle",
      () => {
        const cycle: Record<string, unknown> = {};
        cycle.self = cycle;
        return cycle;
      },
    ],
    ["a BigInt", () => 1n],
  ])("%s in the session is an error of the save, and the stored session stays", async (_name, value) => {
    const app = await koaFramework.start(await openStore());
    const ada = app.visitor();
    await ada.visit(signIn);
    const answer = await ada.visit(async (visit) => {
      visit.session.bad = value();
      const refusal = await visit.save().catch((error) => error.code);
      delete visit.session.bad;
      return refusal;
    });
    expect(answer).toMatchObject({ status: 200, result: "ERR_SESSION_SERIALIZE" });
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("the session an application sees holds its own data and nothing of the store's", async () => {
    const app = await koaFramework.start(await openStore());
    const ada = app.visitor();
    await ada.visit(signIn);
    const answer = await ada.visit(({ ctx }) => JSON.stringify(ctx.session));
    expect(answer.result).toBe('{"user":"ada"}');
  });

  test("events of koa-session tell of sessions that are not there", async () => {
    const app = await koaFramework.start(await openStore());
    const missed: unknown[] = [];
    const ada = app.visitor().with(koaFramework.cookiesOf("no-such-session"));
    await ada.visit(({ ctx }) => {
      ctx.app.on("session:missed", ({ key }) => missed.push(key));
    });
    await until("the event", () => missed.length > 0);
    expect(missed).toEqual(["no-such-session"]);
  });
});
