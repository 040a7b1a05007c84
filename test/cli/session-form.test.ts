import { handleOf } from "nats-session-store";
import { expect, test } from "vitest";
import { foundIn, parsedSession } from "../../packages/cli/src/migrate/session-form.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const soon = Date.now() + HOUR;
const inText = new Date(soon).toISOString();

/** What the stores keep of a session, and what the bucket keeps of it. */
const forms: [what: string, value: object, data: object, expiresAt: number | undefined][] = [
  [
    "a cookie with a maxAge, whose date is from its last write",
    { user: "ada", cookie: { originalMaxAge: HOUR, expires: "2001-01-01T00:00:00.000Z", path: "/" } },
    { user: "ada", cookie: { originalMaxAge: HOUR, path: "/" } },
    undefined,
  ],
  [
    "a cookie of @fastify/session",
    { cookie: { originalMaxAge: HOUR, originalExpires: inText, expires: inText, maxAge: HOUR } },
    { cookie: { originalMaxAge: HOUR, maxAge: HOUR } },
    undefined,
  ],
  [
    "a cookie with a date alone",
    { cookie: { originalMaxAge: null, expires: inText } },
    { cookie: { originalMaxAge: null, expires: inText } },
    soon,
  ],
  [
    "a cookie that ends with the browser",
    { cookie: { originalMaxAge: null, expires: null, httpOnly: true } },
    { cookie: { originalMaxAge: null, expires: null, httpOnly: true } },
    undefined,
  ],
  ["a cookie without anything", { cookie: {} }, { cookie: {} }, undefined],
  [
    "a session of koa-session",
    { user: "ada", _expire: soon, _maxAge: HOUR },
    { user: "ada", _maxAge: HOUR },
    soon,
  ],
  [
    "a session of koa-session that ends with the browser",
    { user: "ada", _session: true, _expire: soon, _maxAge: HOUR },
    { user: "ada", _session: true },
    undefined,
  ],
  ["a session of koa-session without a time", { user: "ada" }, { user: "ada" }, undefined],
  ["a session whose key `cookie` is no cookie", { cookie: "yes" }, { cookie: "yes" }, undefined],
];

test.each(forms)("%s is stored as the adapters store it, with the life that its store gave it", (...form) => {
  const [, value, data, exact] = form;
  const ends = soon + 5 * HOUR;
  const found = { handle: handleOf("id"), session: { data, expiresAt: exact ?? ends } };
  expect(foundIn("id", value, ends, DAY)).toEqual(found);
  expect(parsedSession("id", JSON.stringify(value), ends, DAY)).toEqual(found);
});

test("a session of which nothing says when it ends gets the time to live that was asked for", () => {
  const found = foundIn("id", { user: "ada" }, undefined, DAY);
  expect(found).toMatchObject({ session: { data: { user: "ada" } } });
  const { expiresAt } = (found as { session: { expiresAt: number } }).session;
  expect(Math.abs(expiresAt - Date.now() - DAY)).toBeLessThan(60_000);
});

test("a session whose end has passed is expired", () => {
  expect(foundIn("id", { user: "ada", _expire: Date.now() }, undefined, DAY)).toBe("expired");
  expect(foundIn("id", { user: "ada" }, Date.now() - 1, DAY)).toBe("expired");
});

test("what is no session, or has no id, is unreadable", () => {
  for (const value of [null, undefined, 1, "text", [], [{}]])
    expect(foundIn("id", value, soon, DAY)).toBe("unreadable");
  for (const id of [undefined, null, 7, "", {}]) expect(foundIn(id, {}, soon, DAY)).toBe("unreadable");
  for (const text of ["", "{", "undefined", "\u0000"])
    expect(parsedSession("id", text, soon, DAY)).toBe("unreadable");
});

test("a key that an object has by its nature stays a key", () => {
  const value = JSON.parse('{"__proto__":{"isAdmin":true},"_expire":1,"user":"ada"}');
  const found = foundIn("id", { ...value, _expire: undefined }, soon, DAY) as { session: { data: object } };
  expect(Object.keys(found.session.data).sort()).toEqual(["__proto__", "user"]);
  expect((found.session.data as { isAdmin?: boolean }).isAdmin).toBeUndefined();
});
