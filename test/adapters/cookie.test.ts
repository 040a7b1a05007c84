import { NatsStore } from "connect-nats";
import session from "express-session";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { stopApps } from "./support/app.js";
import { type ExpressVisit, expressFramework } from "./support/express.js";

const TTL = 7_200_000;

let nc: Connection;
let store: NatsStore;

beforeAll(async () => {
  nc = await connectCurrent();
  store = await NatsStore.open(nc, { bucket: newBucket(), ttl: TTL, timeout: 30_000, touchAfter: 0 });
});

afterAll(async () => {
  await stopApps();
  await store.close();
  await nc.close();
});

/** An application with a store object of its own over the shared store. */
const start = (settings: Parameters<typeof expressFramework.start>[1]) =>
  expressFramework.start(new NatsStore(store.sessions), settings);

/** When a session ends, counted from now (ms); `undefined` where it has ended. */
async function lifeOf(id: string): Promise<number | undefined> {
  const record = await store.sessions.load(id);
  return record ? record.expiresAt - Date.now() : undefined;
}

const isAbout = (ms: number) => (life: number | undefined) =>
  life !== undefined && life <= ms && life > ms - 60_000;

const INVALID = new Date(Number.NaN);
const PAST = new Date(Date.now() - 60_000);

/** Attributes that a cookie may be given, as an application sets them, and what they mean. */
const CASES: { attribute: "maxAge" | "expires"; value: unknown; means: "ttl" | "end" | "error" | number }[] =
  [
    ...[false, null, "", undefined].flatMap(
      (value) =>
        [
          { attribute: "maxAge", value, means: "ttl" },
          { attribute: "expires", value, means: "ttl" },
        ] as const,
    ),
    { attribute: "maxAge", value: 0, means: "end" },
    { attribute: "maxAge", value: -1, means: "end" },
    { attribute: "expires", value: 0, means: "end" },
    { attribute: "expires", value: PAST, means: "end" },
    { attribute: "maxAge", value: Number.NaN, means: "error" },
    { attribute: "maxAge", value: Number.POSITIVE_INFINITY, means: "error" },
    { attribute: "maxAge", value: INVALID, means: "error" },
    { attribute: "expires", value: Number.NaN, means: "error" },
    { attribute: "expires", value: INVALID, means: "error" },
    { attribute: "maxAge", value: 3_600_000, means: 3_600_000 },
    { attribute: "expires", value: new Date(Date.now() + 3_600_000), means: 3_600_000 },
  ];

const NAMES_COOKIE = { name: "TypeError", message: expect.stringContaining("cookie") };

describe.each(["set", "touch"] as const)("store.%s with a cookie of express-session", (method) => {
  test.for(CASES)("a $attribute of $value is taken for: $means", async ({ attribute, value, means }) => {
    const id = `${method}-${attribute}-${String(value)}`;
    await store.set(id, { cookie: { originalMaxAge: 60_000 } as never, user: "ada" } as never);
    const loaded = await store.get(id);
    const cookie = new session.Cookie();
    Object.assign(cookie, { [attribute]: value });
    const written = store[method](id, Object.assign(loaded ?? {}, { cookie }) as never);
    if (means === "error") {
      await expect(written).rejects.toMatchObject(NAMES_COOKIE);
      expect(await lifeOf(id)).toSatisfy(isAbout(60_000));
      return;
    }
    await written;
    if (means === "end") expect(await lifeOf(id)).toBeUndefined();
    else expect(await lifeOf(id)).toSatisfy(isAbout(means === "ttl" ? TTL : means));
  });
});

describe("store.set with the plain attributes of a cookie, as other hosts give them", () => {
  test.for([
    ...CASES,
    { attribute: "expires", value: new Date(Date.now() + 3_600_000).toISOString(), means: 3_600_000 },
    { attribute: "expires", value: PAST.toISOString(), means: "end" },
    { attribute: "expires", value: "soon", means: "error" },
    { attribute: "expires", value: true, means: "error" },
    { attribute: "maxAge", value: "3600000", means: "error" },
    { attribute: "maxAge", value: {}, means: "error" },
  ] as typeof CASES)("a $attribute of $value is taken for: $means", async ({ attribute, value, means }) => {
    const id = `plain-${attribute}-${typeof value}-${String(value)}`;
    await store.set(id, { cookie: {}, user: "ada" } as never);
    const written = store.set(id, { cookie: { [attribute]: value }, user: "ada" } as never);
    if (means === "error") {
      await expect(written).rejects.toMatchObject(NAMES_COOKIE);
      expect(await lifeOf(id)).toSatisfy(isAbout(TTL));
      return;
    }
    await written;
    if (means === "end") expect(await lifeOf(id)).toBeUndefined();
    else expect(await lifeOf(id)).toSatisfy(isAbout(means === "ttl" ? TTL : means));
  });
});

const signIn = ({ session }: ExpressVisit) => {
  session.user = "ada";
};
const setTo =
  (value: number) =>
  ({ session }: ExpressVisit) => {
    session.n = value;
  };
const whoAmI = ({ session }: ExpressVisit) => session.user;

describe("a cookie that an Express application changes", { concurrent: true }, () => {
  test.for(CASES)("a $attribute of $value is taken for: $means", async ({ attribute, value, means }) => {
    const app = await start({ maxAge: 60_000 });
    const ada = app.visitor();
    await ada.visit(signIn);
    const id = expressFramework.idOf(ada) ?? "";
    const before = ada.copy();
    const answer = await ada.visit(({ req }) => {
      Object.assign(req.session.cookie, { [attribute]: value });
    });
    expect(answer.status).toBe(200);
    if (means === "error") {
      expect(app.failures).toContainEqual(expect.objectContaining(NAMES_COOKIE));
      expect(await lifeOf(id)).toSatisfy(isAbout(60_000));
    } else {
      expect(app.failures).toEqual([]);
      if (means === "end") expect(await lifeOf(id)).toBeUndefined();
      else expect(await lifeOf(id)).toSatisfy(isAbout(means === "ttl" ? TTL : means));
    }
    // The session's other requests go on, or find it ended.
    expect((await before.visit(whoAmI)).result).toBe(means === "end" ? null : "ada");
    expect((await before.visit(whoAmI)).result).toBe(means === "end" ? null : "ada");
  });

  test.for([59_500, 60_300, 59_990])("from a maxAge of 60000 to %i is stored at once", async (maxAge) => {
    const app = await start({ maxAge: 60_000 });
    const ada = app.visitor();
    await ada.visit(signIn);
    await ada.visit((visit) => visit.setMaxAge(maxAge));
    expect(await ada.visit(({ req }) => req.session.cookie.originalMaxAge)).toMatchObject({ result: maxAge });
    const record = await store.sessions.load(expressFramework.idOf(ada) ?? "");
    expect(record?.data.cookie.originalMaxAge).toBe(maxAge);
  });

  test("is not taken for changed by the passing of time", async () => {
    const app = await start({ maxAge: 60_000 });
    const ada = app.visitor();
    await ada.visit(signIn);
    for (let visits = 0; visits < 5; visits++) await ada.visit(setTo(visits));
    const record = await store.sessions.load(expressFramework.idOf(ada) ?? "");
    expect(record?.data.cookie.originalMaxAge).toBe(60_000);
  });
});
