/** What koa-session gives a store: the session's own keys and a few of koa-session's. */
export interface KoaSessionData {
  /** When koa-session takes the session for expired (Unix ms). */
  _expire?: number;
  /** The maxAge that the session was saved with (ms). */
  _maxAge?: number;
  /** True for a session that ends with the browser. */
  _session?: boolean;
  [key: string]: unknown;
}

/** What koa-session adds to a cookie's maxAge for the store (ms), so that the cookie ends first. */
export const STORE_MARGIN = 10_000;

/**
 * The time to live (ms) that a save asks for; `undefined` = the store's `ttl`.
 * @throws TypeError for a maxAge that is neither a number nor `"session"`
 */
export function ttlOfMaxAge(maxAge: unknown): number | undefined {
  if (maxAge === undefined || maxAge === null || maxAge === false) return undefined;
  if (maxAge === "" || maxAge === "session") return undefined;
  if (isTime(maxAge)) return maxAge;
  throw new TypeError('Expected the cookie\'s `maxAge` to be a number of milliseconds or "session"');
}

/**
 * The time to live (ms) of what is finally stored. After a merge its maxAge may be another request's. koa-session's
 * margin is taken off only where it was added: the data hold the maxAge itself.
 */
export function ttlOfStored(
  final: KoaSessionData,
  ours: KoaSessionData,
  maxAge: unknown,
): number | undefined {
  const ttl = ttlOfMaxAge(maxAge);
  if (final._session) return undefined;
  if (isTime(final._maxAge) && final._maxAge !== ours._maxAge) return final._maxAge;
  return isTime(ours._maxAge) && ttl === ours._maxAge + STORE_MARGIN ? ours._maxAge : ttl;
}

/**
 * The session as it is stored: without the time of its end, which changes with every request and which the store
 * keeps beside the value.
 *
 * @param endsWithBrowser whether it has no maxAge
 */
export function toStored(data: KoaSessionData, endsWithBrowser: boolean): KoaSessionData {
  const { _expire, _maxAge, ...stored } = data;
  if (endsWithBrowser) stored._session = true;
  else if (_maxAge !== undefined) stored._maxAge = _maxAge;
  return stored;
}

/** The session as koa-session gets it: with the true time of its end, which touches have moved. */
export function fromStored(data: KoaSessionData, expiresAt: number): KoaSessionData {
  const { _expire, _maxAge, _session, ...session } = data;
  if (_session === true) return { ...session, _session };
  // Any other maxAge would fail each response that sets the cookie.
  return isTime(_maxAge) ? { ...session, _maxAge, _expire: expiresAt } : { ...session, _expire: expiresAt };
}

function isTime(value: unknown): value is number {
  return Number.isFinite(value);
}
