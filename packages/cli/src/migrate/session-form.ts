import { handleOf } from "nats-session-store";
import type { Found } from "./source.js";

/** Attributes of an Express cookie that hold a time; the bucket keeps it beside the session. */
const TIMES: ReadonlySet<string> = new Set(["expires", "originalExpires"]);

type Data = { readonly [key: string]: unknown };

/**
 * A session of express-session or koa-session, in the form in which the adapters store it.
 *
 * @param expiresAt when the session ends (Unix ms), where its store knows
 * @param ttl how long it lives (ms) where nothing says when it ends
 */
export function foundIn(id: unknown, value: unknown, expiresAt: number | undefined, ttl: number): Found {
  if (typeof id !== "string" || id === "" || !isObject(value)) return "unreadable";
  const { data, end } = isObject(value.cookie) ? expressForm(value, value.cookie) : koaForm(value);
  const ends = (end.isExact ? end.at : undefined) ?? expiresAt ?? end.at ?? Date.now() + ttl;
  if (ends <= Date.now()) return "expired";
  return { handle: handleOf(id), session: { data, expiresAt: ends } };
}

/** As `foundIn`, for JSON in a text. */
export function parsedSession(id: unknown, text: string, expiresAt: number | undefined, ttl: number): Found {
  try {
    return foundIn(id, JSON.parse(text), expiresAt, ttl);
  } catch {
    return "unreadable";
  }
}

interface End {
  readonly at: number | undefined;
  /** Whether it is more exact than what the store keeps. */
  readonly isExact: boolean;
}

function expressForm(value: Data, cookie: Data): { readonly data: object; readonly end: End } {
  const hasAge = Number.isFinite(cookie.originalMaxAge);
  const stored = hasAge ? entriesBut(cookie, (name) => TIMES.has(name)) : cookie;
  const at = timeOf(cookie.expires);
  // A touch renews a session in its store without changing the cookie.
  return { data: { ...value, cookie: stored }, end: { at, isExact: !hasAge && at !== undefined } };
}

function koaForm(value: Data): { readonly data: object; readonly end: End } {
  const endsWithBrowser = value._session === true;
  const isDropped = (name: string) => name === "_expire" || (name === "_maxAge" && endsWithBrowser);
  const at = endsWithBrowser ? undefined : timeOf(value._expire);
  // koa-session lets the store keep a session for ten seconds longer.
  return { data: entriesBut(value, isDropped), end: { at, isExact: at !== undefined } };
}

/** A moment as Unix ms, from a number or a text; `undefined` for anything else. */
export function timeOf(value: unknown): number | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const time = new Date(value).getTime();
  return Number.isFinite(time) ? time : undefined;
}

export function isObject(value: unknown): value is Data {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function entriesBut(value: Data, isDropped: (name: string) => boolean): object {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !isDropped(name)));
}
