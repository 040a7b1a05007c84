import { SessionStoreError } from "./errors.js";

/** Shortest pause between two touches that is worth having, for long lives: 60 s. */
const TOUCH_AFTER_MOST = 60_000;

/** The limits that a store was opened with, in milliseconds. */
export interface Limits {
  readonly ttl: number;
  readonly maxTtl: number;
  readonly absoluteTtl: number | undefined;
  readonly touchAfter: number | undefined;
}

/**
 * The life in milliseconds that a write asks for.
 * @throws TypeError when it is not a number; `ERR_SESSION_TTL_TOO_LONG` when it is more than `maxTtl`.
 */
export function lifeOf(ttl: number | undefined, limits: Limits): number {
  const life = ttl ?? limits.ttl;
  if (typeof life !== "number" || Number.isNaN(life)) {
    throw new TypeError(`Expected \`ttl\` to be a number of milliseconds, got ${String(ttl)}`);
  }
  if (life > limits.maxTtl) {
    throw new SessionStoreError(
      "ERR_SESSION_TTL_TOO_LONG",
      `The session asks for a life of ${life} ms, but \`maxTtl\` is ${limits.maxTtl} ms. Ask for less (the cookie's maxAge, \`ttl\`) or open the store with a larger \`maxTtl\`.`,
    );
  }
  return life;
}

/** The moment (unix ms) at which a session written now ends: its life, cut by the absolute limit. */
export function expiryOf(now: number, life: number, createdAt: number, limits: Limits): number {
  // Stored as whole milliseconds; a life may be a fraction, such as a third of an hour.
  return Math.ceil(Math.min(now + life, hardEndOf(createdAt, limits)));
}

/** Whether a session with these stored times still lives, by the exact clock and not by the server's sweep. */
export function isLive(
  times: { readonly createdAt: number; readonly expiresAt: number },
  now: number,
  limits: Limits,
): boolean {
  return now < times.expiresAt && now < hardEndOf(times.createdAt, limits);
}

/**
 * Whether a touch would move the expiry so little that it is left out. Seen from the stored expiry alone: it
 * moves by exactly the time since the last write, as long as the life is the same.
 */
export function isTouchTooSoon(
  expiresAt: number,
  newExpiresAt: number,
  life: number,
  limits: Limits,
): boolean {
  const moved = newExpiresAt - expiresAt;
  const pause = limits.touchAfter ?? Math.min(TOUCH_AFTER_MOST, life / 10);
  return moved <= 0 || moved < pause;
}

/** Whole seconds for the `Nats-TTL` header: rounded up, at least one (ADR-43), so never before the exact time. */
export function ttlSeconds(expiresAt: number, now: number): number {
  return Math.max(1, Math.ceil((expiresAt - now) / 1000));
}

function hardEndOf(createdAt: number, limits: Limits): number {
  return limits.absoluteTtl === undefined ? Number.POSITIVE_INFINITY : createdAt + limits.absoluteTtl;
}
