import type { SessionData } from "express-session";

/** A cookie as express-session keeps it: an instance of its Cookie class, or what came of it through JSON. */
export interface StoredCookie {
  originalMaxAge?: number | null;
  expires?: Date | string | null;
  toJSON?: () => StoredCookie;
  [attribute: string]: unknown;
}

/** Reading and setting a cookie's maxAge may take a tick of the clock each; less than this is no change. */
const CLOCK_TICKS = 1000;

/**
 * The life in ms that a cookie asks for: its original maxAge counted from now (its `expires` is as old as the
 * request, or older), else its `expires`, else the store's `ttl`.
 */
export function lifeOfCookie(cookie: StoredCookie, now: number): number | undefined {
  if (typeof cookie.originalMaxAge === "number") return cookie.originalMaxAge;
  if (cookie.expires == null) return undefined;
  const expires = new Date(cookie.expires).getTime();
  return Number.isNaN(expires) ? undefined : expires - now;
}

/**
 * The session as it is stored. Where the cookie has a maxAge its `expires` is left out: it changes with every
 * request, and the store keeps the time beside the value. A cookie that is the same as the one `loaded` is
 * stored as that, to the tick of the clock, so that it does not count as changed.
 */
export function toStored(
  session: SessionData,
  loaded: StoredCookie | undefined,
): SessionData & { cookie: StoredCookie } {
  const cookie = loaded && isSameCookie(loaded, session) ? loaded : withoutExpiry(cookieOf(session));
  return { ...session, cookie: cookie as SessionData["cookie"] & StoredCookie };
}

/** Puts the true `expires` back into the cookie of a session that was stored by `toStored`. */
export function restoreExpiry(cookie: StoredCookie, expiresAt: number): void {
  if (typeof cookie.originalMaxAge === "number") cookie.expires = new Date(expiresAt);
}

/** Whether anything but the passing of time makes the two cookies differ. */
export function isSameCookie(stored: StoredCookie, session: SessionData): boolean {
  const current = cookieOf(session);
  const { originalMaxAge: before } = stored;
  const { originalMaxAge: after } = current;
  if (typeof before === "number" && typeof after === "number") {
    return Math.abs(before - after) < CLOCK_TICKS && hasSameAttributes(stored, current, true);
  }
  return (before ?? null) === (after ?? null) && hasSameAttributes(stored, current, false);
}

/** This runs for each request, so nothing is made for it. */
function hasSameAttributes(one: StoredCookie, other: StoredCookie, exceptExpires: boolean): boolean {
  const counts = (name: string) => name !== "originalMaxAge" && !(exceptExpires && name === "expires");
  for (const name in one) if (counts(name) && !isSameAttribute(one[name], other[name])) return false;
  for (const name in other) if (counts(name) && !(name in one) && other[name] !== undefined) return false;
  return true;
}

/** As they are stored: a Date is its text. */
function isSameAttribute(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  const mayBe = typeof one === "object" || typeof other === "object";
  return mayBe && JSON.stringify(one) === JSON.stringify(other);
}

/** The plain attributes of a session's cookie. */
export function cookieOf(session: SessionData): StoredCookie {
  const cookie = (session.cookie ?? {}) as unknown as StoredCookie;
  return typeof cookie.toJSON === "function" ? cookie.toJSON() : cookie;
}

function withoutExpiry(cookie: StoredCookie): StoredCookie {
  if (typeof cookie.originalMaxAge !== "number") return cookie;
  const { expires: _expires, ...rest } = cookie;
  return rest;
}

/** What express-session has written; a bucket may hold sessions of other frameworks beside it. */
export function hasCookie(data: SessionData): data is SessionData & { cookie: StoredCookie } {
  return typeof data.cookie === "object" && data.cookie !== null;
}

/** The life in ms that a session asks for now; `undefined` = the store's `ttl`. */
export function lifeOf(session: SessionData): number | undefined {
  return lifeOfCookie(cookieOf(session), Date.now());
}
