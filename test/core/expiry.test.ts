import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  expiryOf,
  isLive,
  isTouchTooSoon,
  type Limits,
  lifeOf,
  ttlSeconds,
} from "../../packages/core/src/expiry.js";

const runs = { numRuns: 500 };
const DAY = 86_400_000;
const limits = (given: Partial<Limits> = {}): Limits => ({
  ttl: DAY,
  maxTtl: 30 * DAY,
  absoluteTtl: undefined,
  touchAfter: undefined,
  ...given,
});

const moment = fc.integer({ min: 1_000_000_000_000, max: 4_000_000_000_000 });
const life = fc.oneof(
  fc.integer({ min: 1, max: 30 * DAY }),
  fc.double({ min: 0.001, max: 30 * DAY, noNaN: true }),
);
const hardEnd = fc.option(fc.integer({ min: 1, max: 90 * DAY }), { nil: undefined });

describe("the life that a write asks for", () => {
  it("is the store's `ttl` where none is given", () => {
    expect(lifeOf(undefined, limits({ ttl: 5000 }))).toBe(5000);
  });

  it.each([1, 0, -1, 0.5, 30 * DAY])("may be %d ms", (ttl) => {
    expect(lifeOf(ttl, limits())).toBe(ttl);
  });

  it.each([Number.NaN, "60000", "session", {}, true, 1n])("is a TypeError when it is %s", (ttl) => {
    expect(() => lifeOf(ttl as never, limits())).toThrow(TypeError);
    expect(() => lifeOf(ttl as never, limits())).toThrow("`ttl`");
  });

  it.each([30 * DAY + 1, Number.POSITIVE_INFINITY])(
    "of more than `maxTtl` is an error with both: %d",
    (ttl) => {
      expect(() => lifeOf(ttl, limits())).toThrow(
        expect.objectContaining({
          code: "ERR_SESSION_TTL_TOO_LONG",
          message: expect.stringMatching(new RegExp(`${ttl} ms.*${30 * DAY} ms`)),
        }),
      );
    },
  );
});

describe("the end of a session", () => {
  it("is its life from now, cut by the absolute limit from its creation", () => {
    fc.assert(
      fc.property(moment, moment, life, hardEnd, (now, createdAt, ms, absoluteTtl) => {
        const end = expiryOf(now, ms, createdAt, limits({ absoluteTtl }));
        const exact = Math.min(now + ms, createdAt + (absoluteTtl ?? Number.POSITIVE_INFINITY));
        expect(Math.abs(end - exact)).toBeLessThan(1);
      }),
      runs,
    );
  });

  it("is a whole number of milliseconds, as the storage format wants it, for every life and limit", () => {
    const anyLimit = fc.oneof(hardEnd, fc.double({ min: 1, max: 90 * DAY, noNaN: true }));
    fc.assert(
      fc.property(moment, life, anyLimit, (now, ms, absoluteTtl) => {
        expect(Number.isInteger(expiryOf(now, ms, now, limits({ absoluteTtl })))).toBe(true);
      }),
      runs,
    );
  });

  it("is exact: live until the millisecond before, and never after", () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: 1, max: 30 * DAY }), hardEnd, (now, ms, absoluteTtl) => {
        const given = limits({ absoluteTtl });
        const expiresAt = expiryOf(now, ms, now, given);
        const times = { createdAt: now, expiresAt };
        expect(isLive(times, expiresAt - 1, given)).toBe(true);
        expect(isLive(times, expiresAt, given)).toBe(false);
        expect(isLive(times, expiresAt + 1, given)).toBe(false);
      }),
      runs,
    );
  });

  it("comes by an absolute limit that was introduced after the session was stored, too", () => {
    const stored = { createdAt: 1000, expiresAt: 1_000_000 };
    expect(isLive(stored, 5999, limits({ absoluteTtl: 5000 }))).toBe(true);
    expect(isLive(stored, 6000, limits({ absoluteTtl: 5000 }))).toBe(false);
  });

  it("is never moved beyond the absolute limit, however often the session is renewed", () => {
    fc.assert(
      fc.property(
        moment,
        fc.integer({ min: 1000, max: DAY }),
        fc.array(fc.tuple(fc.nat(DAY), life), { maxLength: 30 }),
        (createdAt, absoluteTtl, renewals) => {
          let now = createdAt;
          for (const [pause, ms] of renewals) {
            now += pause;
            expect(expiryOf(now, ms, createdAt, limits({ absoluteTtl }))).toBeLessThanOrEqual(
              createdAt + absoluteTtl,
            );
          }
        },
      ),
      runs,
    );
  });
});

describe("the server's TTL", () => {
  it.each([
    [1, 1],
    [999, 1],
    [1000, 1],
    [1001, 2],
    [59_999, 60],
    [60_000, 60],
  ])("of %d ms is %d s: rounded up", (ms, seconds) => {
    expect(ttlSeconds(5000 + ms, 5000)).toBe(seconds);
  });

  it("is at least one second, also when time has run out meanwhile", () => {
    expect(ttlSeconds(5000, 5000)).toBe(1);
    expect(ttlSeconds(1000, 5000)).toBe(1);
  });

  it("never ends before the session and at most a second after, in whole seconds", () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: 1, max: 30 * DAY }), (now, ms) => {
        const seconds = ttlSeconds(now + ms, now);
        expect(Number.isInteger(seconds)).toBe(true);
        expect(seconds * 1000).toBeGreaterThanOrEqual(ms);
        expect(seconds * 1000).toBeLessThan(ms + 1000);
      }),
      runs,
    );
  });
});

describe("a touch", () => {
  const tooSoon = (since: number, ms: number, given: Partial<Limits> = {}) =>
    isTouchTooSoon(1_000_000 + ms, 1_000_000 + since + ms, ms, limits(given));

  it.each([
    { life: 10_000, pause: 1000 },
    { life: 600_000, pause: 60_000 },
    { life: DAY, pause: 60_000 },
  ])("is too soon before 10 % of a life of $life ms, at most 60 s", ({ life, pause }) => {
    expect(tooSoon(pause - 1, life)).toBe(true);
    expect(tooSoon(pause, life)).toBe(false);
  });

  it("waits for `touchAfter` where that is given, whatever the life", () => {
    expect(tooSoon(499, 10_000, { touchAfter: 500 })).toBe(true);
    expect(tooSoon(500, 10_000, { touchAfter: 500 })).toBe(false);
  });

  it("is never too soon with `touchAfter: 0`, unless it would change nothing", () => {
    expect(tooSoon(1, DAY, { touchAfter: 0 })).toBe(false);
    expect(tooSoon(0, DAY, { touchAfter: 0 })).toBe(true);
  });

  it("never shortens a life", () => {
    fc.assert(
      fc.property(moment, fc.nat(DAY), fc.nat(DAY), (expiresAt, less, touchAfter) => {
        expect(isTouchTooSoon(expiresAt, expiresAt - less, DAY, limits({ touchAfter }))).toBe(true);
      }),
      runs,
    );
  });

  it("keeps a session alive for whoever comes back within 90 % of its life", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: DAY }),
        fc.array(fc.double({ min: 0, max: 0.9, noNaN: true }), { maxLength: 50 }),
        (ms, pauses) => {
          let now = 1_000_000;
          let expiresAt = now + ms;
          for (const pause of pauses) {
            now += Math.floor(pause * ms);
            expect(now).toBeLessThan(expiresAt);
            const renewed = expiryOf(now, ms, 1_000_000, limits());
            if (!isTouchTooSoon(expiresAt, renewed, ms, limits())) expiresAt = renewed;
          }
        },
      ),
      runs,
    );
  });
});
