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
 * The life in ms of what is stored in the end; `undefined` = the store's `ttl`. After a merge the maxAge may be
 * another request's. koa-session's margin is taken off only where it was put on: the data hold the maxAge itself.
 */
export function lifeOfStored(
  final: KoaSessionData,
  ours: KoaSessionData,
  maxAge: unknown,
): number | undefined {
  if (final._session) return undefined;
  if (typeof final._maxAge === "number" && final._maxAge !== ours._maxAge) return final._maxAge;
  if (typeof maxAge !== "number") return undefined;
  return typeof ours._maxAge === "number" && maxAge === ours._maxAge + STORE_MARGIN ? ours._maxAge : maxAge;
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
