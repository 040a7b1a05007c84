import { NatsStore } from "koa-session-nats";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { stopApps } from "./support/app.js";

import { type KoaVisit, koaFramework } from "./support/koa.js";
import { Outage } from "./support/outage.js";

const TTL = 7_200_000;
const DAY = 86_400_000;

let nc: Connection;
let sessions: SessionStore<Record<string, unknown>>;

beforeAll(async () => {
  nc = await connectCurrent();
  sessions = await SessionStore.open(nc, { bucket: newBucket(), ttl: TTL, timeout: 30_000, touchAfter: 0 });
});

afterAll(async () => {
  await stopApps();
  await sessions.close();
  await nc.close();
});

const isAbout = (ms: number) => (life: number | undefined) =>
  life !== undefined && life <= ms && life > ms - 60_000;

async function lifeOf(id: string): Promise<number | undefined> {
  const record = await sessions.load(id);
  return record ? record.expiresAt - Date.now() : undefined;
}

describe("set with a maxAge of Koa", () => {
  test.for<{ maxAge: unknown; means: number | "end" | "error" }>([
    ...[undefined, null, false, "", "session"].map((maxAge) => ({ maxAge, means: TTL })),
    { maxAge: 3_600_000, means: 3_600_000 },
    { maxAge: 0, means: "end" },
    { maxAge: -1, means: "end" },
    { maxAge: Number.NaN, means: "error" },
    { maxAge: Number.POSITIVE_INFINITY, means: "error" },
    { maxAge: "3600000", means: "error" },
    { maxAge: new Date(Number.NaN), means: "error" },
    { maxAge: {}, means: "error" },
  ])("of $maxAge is taken for: $means", async ({ maxAge, means }) => {
    const store = new NatsStore(sessions);
    const id = `maxAge ${typeof maxAge} ${String(maxAge)}`;
    await sessions.save(id, { user: "ada" });
    const set = store.set(id, { user: "ada" }, maxAge);
    if (means === "error") {
      await expect(set).rejects.toMatchObject({
        name: "TypeError",
        message: expect.stringContaining("cookie"),
      });
      expect(await lifeOf(id)).toSatisfy(isAbout(TTL));
      return;
    }
    await set;
    if (means === "end") expect(await lifeOf(id)).toBeUndefined();
    else expect(await lifeOf(id)).toSatisfy(isAbout(means));
  });
});

const signIn = ({ session }: KoaVisit) => {
  session.user = "ada";
};
const whoAmI = ({ session }: KoaVisit) => session.user;

describe("a maxAge that a Koa application sets", () => {
  test.for<{ maxAge: unknown; means: number | "end" }>([
    // koa-session gives a day where there is none.
    ...[undefined, null, false, "", 0].map((maxAge) => ({ maxAge, means: DAY })),
    { maxAge: "session", means: TTL },
    { maxAge: 60_000, means: 60_000 },
    { maxAge: -1, means: "end" },
  ])("of $maxAge means $means, and each response comes", async ({ maxAge, means }) => {
    const app = await koaFramework.start(new NatsStore(sessions), { maxAge: 60_000 });
    const ada = app.visitor();
    await ada.visit(signIn);
    const id = koaFramework.idOf(ada) ?? "";
    const answer = await ada.visit(({ session }) => Object.assign(session, { maxAge, n: 1 }));
    expect(answer.status).toBe(200);
    if (means === "end") expect(await lifeOf(id)).toBeUndefined();
    else expect(await lifeOf(id)).toSatisfy(isAbout(means));
    expect((await ada.visit(whoAmI)).result).toBe(means === "end" ? null : "ada");
    expect(app.failures).toEqual([]);
  });
});

describe("a stored session of Koa with odd times", () => {
  test.for([
    { _maxAge: "a day" },
    { _maxAge: {} },
    { _maxAge: null },
    { _maxAge: true },
    { _expire: 1 },
    { _expire: "junk" },
    { _session: "yes" },
    { _session: 1, _maxAge: "x" },
  ])("%j is read and changed", async (odd) => {
    const app = await koaFramework.start(new NatsStore(sessions), { maxAge: 60_000 });
    const id = `odd-${JSON.stringify(odd)}`.replaceAll(/[^a-z]/gi, "-");
    await sessions.save(id, { user: "ada", ...odd });
    const ada = app.visitor().with(koaFramework.cookiesOf(id));
    expect(await ada.visit(whoAmI)).toMatchObject({ status: 200, result: "ada" });
    expect(await ada.visit(({ session }) => Object.assign(session, { n: 1 }))).toMatchObject({ status: 200 });
    expect((await ada.visit(({ session }) => [session.user, session.n])).result).toEqual(["ada", 1]);
    expect(app.failures).toEqual([]);
  });
});

describe("the data of Koa sessions", () => {
  test("keep every key that cannot pollute, also in a key `cookie`, and when requests overlap", async () => {
    const app = await koaFramework.start(new NatsStore(sessions));
    const ada = app.visitor();
    const cookie = { expires: "2030-01-01T00:00:00.000Z", originalMaxAge: 5 };
    await ada.visit(({ session }) =>
      Object.assign(session, { cookie, toString: "text", constructor: { name: "x" } }),
    );
    const other = ada.copy();
    await ada.visit(async ({ session }) => {
      session.mine = 1;
      await other.visit((visit) =>
        Object.assign(visit.session, { theirs: 2, cookie: { ...cookie, more: true } }),
      );
    });
    const record = await sessions.load(koaFramework.idOf(ada) ?? "");
    expect(record?.data).toMatchObject({
      mine: 1,
      theirs: 2,
      cookie: { ...cookie, more: true },
      toString: "text",
    });
    expect(record?.data.constructor).toEqual({ name: "x" });
  });
});

test("an outage while a session is loaded does not end it", async ({ onTestFinished }) => {
  const outage = new Outage(inject("currentServer"), onTestFinished);
  const store = await NatsStore.open(outage.connect, { bucket: newBucket(), timeout: 30_000 });
  const app = await koaFramework.start(store, { rolling: true });
  const ada = app.visitor();
  await ada.visit(signIn);
  const before = ada.cookie;
  await outage.begin();
  const answer = await ada.visit(whoAmI);
  expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_UNAVAILABLE", setCookie: [] });
  outage.end();
  expect((await ada.visit(whoAmI)).result).toBe("ada");
  expect(ada.cookie).toBe(before);
});
