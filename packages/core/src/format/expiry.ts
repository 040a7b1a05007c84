import { SessionStoreError } from "../errors.js";

/** Longest default of `touchAfter`: 60 s. */
const MAX_TOUCH_AFTER = 60_000;

/** The limits that hold for a store's sessions, in ms. */
export interface Limits {
  readonly ttl: number;
  readonly absoluteTtl: number | undefined;
  readonly touchAfter: number | undefined;
  readonly onTtlTooLong: "cut" | "error";
}

/**
 * The time to live in ms that a write gets.
 *
 * @param ttl as asked for; `undefined` = the store's
 * @param maxTtl the longest that the bucket allows
 * @param onCut called with the time asked for when it is cut to `maxTtl`
 * @throws TypeError when it is not a number; `ERR_SESSION_TTL_TOO_LONG` with `onTtlTooLong: "error"`
 */
export function ttlOf(
  ttl: number | undefined,
  limits: Pick<Limits, "ttl" | "onTtlTooLong">,
  maxTtl: number,
  onCut?: (asked: number) => void,
): number {
  const asked = ttl ?? limits.ttl;
  if (typeof asked !== "number" || Number.isNaN(asked)) {
    const got = typeof asked === "number" ? "NaN" : typeof asked;
    throw new TypeError(`Expected \`ttl\` to be a number of milliseconds, got ${got}`);
  }
  if (asked <= maxTtl) return asked;
  if (limits.onTtlTooLong === "error") {
    throw new SessionStoreError(
      "ERR_SESSION_TTL_TOO_LONG",
      `The session asks for ${asked} ms to live, but \`maxTtl\` is ${maxTtl} ms. Ask for less (the cookie's maxAge, \`ttl\`), set a larger \`maxTtl\`, or set \`onTtlTooLong\` to "cut".`,
    );
  }
  onCut?.(asked);
  return maxTtl;
}

/** When a session that is written now ends (Unix ms): after its `ttl`, but not later than `absoluteTtl` says. */
export function expiryOf(
  now: number,
  ttl: number,
  createdAt: number,
  limits: Pick<Limits, "absoluteTtl">,
): number {
  // Stored as whole milliseconds; a ttl may be a fraction, such as a third of an hour.
  return Math.ceil(Math.min(now + ttl, absoluteEnd(createdAt, limits)));
}

/** Whether a session with these stored times is live by the exact clock; the server may still keep its entry. */
export function isLive(
  times: { readonly createdAt: number; readonly expiresAt: number },
  now: number,
  limits: Pick<Limits, "absoluteTtl">,
): boolean {
  return now < times.expiresAt && now < absoluteEnd(times.createdAt, limits);
}

/**
 * Whether a touch would move the expiry so little that it is skipped. With an unchanged `ttl` the expiry moves by
 * exactly the time since the last write, so the time of that write need not be known.
 */
export function isTouchTooSoon(
  expiresAt: number,
  newExpiresAt: number,
  ttl: number,
  limits: Pick<Limits, "touchAfter">,
): boolean {
  const moved = newExpiresAt - expiresAt;
  const touchAfter = limits.touchAfter ?? Math.min(MAX_TOUCH_AFTER, ttl / 10);
  return moved <= 0 || moved < touchAfter;
}

/** Whole seconds for the server: rounded up, so never before the exact time, and at least one (ADR-43). */
export function ttlSeconds(expiresAt: number, now: number): number {
  return Math.max(1, Math.ceil((expiresAt - now) / 1000));
}

function absoluteEnd(createdAt: number, limits: Pick<Limits, "absoluteTtl">): number {
  return limits.absoluteTtl === undefined ? Number.POSITIVE_INFINITY : createdAt + limits.absoluteTtl;
}
