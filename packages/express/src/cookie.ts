import session, { type SessionData } from "express-session";

/** A cookie as express-session keeps it: an instance of its Cookie class, or its JSON. */
export interface StoredCookie {
  originalMaxAge?: unknown;
  expires?: unknown;
  maxAge?: unknown;
  toJSON?: unknown;
  [attribute: string]: unknown;
}

/** What is stored: the session's keys, with the cookie as plain attributes. */
export type StoredSession = SessionData & { cookie: SessionData["cookie"] & StoredCookie };

/** Attributes that hold a time. The second is what @fastify/session makes of the first. */
const TIMES = new Set(["expires", "originalExpires"]);
const AGES = new Set(["originalMaxAge", "maxAge"]);

/**
 * express-session computes `originalMaxAge` as a difference of two readings of the clock, whenever it resets the
 * cookie. So it shrinks by some ms where nobody changed it.
 */
const CLOCK_TICKS = 5;

/** Texts that need no trial. */
const COMMON = new Set(["path=/", "sameSite=lax", "sameSite=strict", "sameSite=none"]);

/**
 * The time to live (ms) that a cookie asks for: its original maxAge counted from now (its `expires` is as old as the
 * request, or older), else its `expires`; `undefined`, for a cookie without either, means the store's `ttl`.
 *
 * @throws TypeError for a maxAge that is not a number and for an `expires` that is not a date
 */
export function ttlOfCookie(cookie: StoredCookie, now: number): number | undefined {
  const { originalMaxAge, maxAge, expires } = cookie;
  const age = isUnset(originalMaxAge) ? maxAge : originalMaxAge;
  if (isUnset(age) && isUnset(expires)) return undefined;
  const ttl = isUnset(age) ? timeOf(expires) - now : age;
  if (isNumber(ttl)) return ttl;
  throw new TypeError(
    "Expected the cookie's `maxAge` to be a number of milliseconds, and its `expires` to be a valid date",
  );
}

/** The time to live (ms) that a session asks for now; see {@link ttlOfCookie}. */
export function ttlOf(session: SessionData): number | undefined {
  return ttlOfCookie(attributesOf(session), Date.now());
}

/**
 * The session as it is stored. A cookie that is the same as the one `loaded` is stored as that one, so that it does
 * not count as changed.
 */
export function toStored(session: SessionData, loaded: StoredCookie | undefined): StoredSession {
  const stored: Record<string, unknown> = {};
  // Inherited keys too: of `Object.create(req.session)` they are the session.
  for (const key in session) {
    const isPolluted = key in Object.prototype && !Object.hasOwn(session, key);
    if (key !== "__proto__" && !isPolluted) stored[key] = session[key as keyof SessionData];
  }
  stored.cookie = loaded && isSameCookie(loaded, session) ? loaded : storedCookieOf(session);
  return stored as unknown as StoredSession;
}

/**
 * The attributes of a session's cookie as they are stored. Where the cookie has a maxAge its `expires` is left out:
 * it changes with every request, and the store keeps the time beside the value.
 */
export function storedCookieOf(session: SessionData): StoredCookie {
  const cookie = attributesOf(session);
  if (!isNumber(cookie.originalMaxAge)) return cookie;
  return Object.fromEntries(Object.entries(cookie).filter(([name]) => !TIMES.has(name)));
}

/** Whether nothing but the passing of time makes the two cookies differ. */
export function isSameCookie(stored: StoredCookie, session: SessionData): boolean {
  const current = attributesOf(session);
  const hasAge = isNumber(stored.originalMaxAge) && isNumber(current.originalMaxAge);
  const isSame = (name: string) =>
    name === "originalMaxAge"
      ? isSameAge(stored.originalMaxAge, current.originalMaxAge)
      : (hasAge && TIMES.has(name)) || isSameAttribute(stored[name], current[name]);
  for (const name in stored) if (!isSame(name)) return false;
  for (const name in current) if (!(name in stored) && !isSame(name)) return false;
  return true;
}

/** The data of a session that express-session wrote; a bucket may hold sessions of other frameworks beside it. */
export function hasCookie(data: SessionData): data is StoredSession {
  return typeof data.cookie === "object" && data.cookie !== null && !Array.isArray(data.cookie);
}

/**
 * Gives loaded data a cookie that express-session can work with, and returns a copy of it as it was stored. An
 * attribute that express-session would not accept is left out: it would fail each response, or leave one open.
 */
export function prepareCookie(data: StoredSession, expiresAt: number): StoredCookie {
  const stored: StoredCookie = {};
  for (const name of Object.keys(data.cookie)) {
    if (isAcceptable(name, data.cookie[name])) stored[name] = data.cookie[name];
  }
  data.cookie = { ...stored } as StoredSession["cookie"];
  if (isNumber(stored.originalMaxAge)) data.cookie.expires = new Date(expiresAt);
  return stored;
}

/** The cookie of stored data as other stores get it from express-session: an instance of its class. */
export function cookieOf(data: SessionData, expiresAt: number): SessionData["cookie"] {
  const session = { ...data } as StoredSession;
  const stored = prepareCookie(session, expiresAt);
  const cookie = new CookieClass(stored) as unknown as StoredCookie;
  const { originalMaxAge, expires } = session.cookie as unknown as StoredCookie;
  // As express-session makes it of loaded data; either assignment changes the other attribute.
  cookie.expires = typeof expires === "string" ? new Date(expires) : expires;
  cookie.originalMaxAge = originalMaxAge ?? null;
  return cookie as unknown as SessionData["cookie"];
}

/** What of a stored cookie changes only when somebody changes it. */
export function comparableCookie(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const cookie = Object.entries(value).filter(
    ([name, attribute]) => attribute !== null && attribute !== undefined && !TIMES.has(name),
  );
  const { originalMaxAge, expires } = value as StoredCookie;
  if (!isNumber(originalMaxAge))
    return { ...Object.fromEntries(cookie), expires: isUnset(expires) ? null : expires };
  // It shrinks by a few ms, again and again.
  return { ...Object.fromEntries(cookie), originalMaxAge: Math.ceil((originalMaxAge as number) / 1000) };
}

/** The plain attributes of a session's cookie. */
function attributesOf(session: SessionData): StoredCookie {
  const cookie = (session.cookie ?? {}) as unknown as StoredCookie;
  return typeof cookie.toJSON === "function" ? cookie.toJSON() : cookie;
}

function isAcceptable(name: string, value: unknown): boolean {
  if (AGES.has(name)) return isUnset(value) || isNumber(value);
  if (TIMES.has(name)) return isUnset(value) || isNumber(timeOf(value));
  // Members of the Cookie class, such as `toJSON`, must not be covered by data.
  if (name === "_expires" || name === "__proto__" || name in session.Cookie.prototype) return false;
  if (value === null || typeof value === "boolean" || COMMON.has(`${name}=${value}`)) return true;
  try {
    new CookieClass({ [name]: value }).serialize("name", "value");
    return true;
  } catch {
    return false;
  }
}

/** Has more than its declarations in @types/express-session. */
const CookieClass = session.Cookie as unknown as new (
  attributes: object,
) => { serialize(name: string, value: string): string };

function isSameAge(stored: unknown, current: unknown): boolean {
  if (!isNumber(stored) || !isNumber(current)) return (stored ?? null) === (current ?? null);
  return stored - current >= 0 && stored - current < CLOCK_TICKS;
}

/** Compares what is stored of both: of a Date it is the text. */
function isSameAttribute(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  const mayBeSame = typeof one === "object" || typeof other === "object";
  return mayBeSame && JSON.stringify(one) === JSON.stringify(other);
}

/** express-session takes all of these for "no time given". */
function isUnset(value: unknown): boolean {
  return value === undefined || value === null || value === false || value === "";
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

function timeOf(value: unknown): number {
  return typeof value === "boolean" ? Number.NaN : new Date(value as string).getTime();
}
