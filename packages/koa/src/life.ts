/** What koa-session gives a store to keep: the session's own keys and a few of koa-session's. */
export interface KoaSessionData {
  /** When koa-session takes the session for expired, unix ms. */
  _expire?: number;
  /** The maxAge that the session was saved with, ms. */
  _maxAge?: number;
  /** True for a session that ends with the browser. */
  _session?: boolean;
  [key: string]: unknown;
}

/** What koa-session adds to a cookie's maxAge for the store, so that the cookie ends first (lib/context). */
const STORE_MARGIN = 10_000;

/**
 * The life in ms that a call of koa-session's asks for; `undefined` = the store's `ttl`. The margin is taken
 * off only where koa-session put it on: it keeps the maxAge itself in the data.
 */
export function lifeOfSet(data: KoaSessionData, maxAge: unknown): number | undefined {
  if (typeof maxAge !== "number") return undefined;
  return typeof data._maxAge === "number" && maxAge === data._maxAge + STORE_MARGIN ? data._maxAge : maxAge;
}

/**
 * The session as it is stored: without the time of its end, which changes with every request and which the
 * store keeps beside the value.
 */
export function toStored(data: KoaSessionData): KoaSessionData {
  const { _expire, ...stored } = data;
  return stored;
}

/** The same as a session that ends with the browser. */
export function asBrowserSession(stored: KoaSessionData): KoaSessionData {
  const { _maxAge, ...rest } = stored;
  return { ...rest, _session: true };
}
