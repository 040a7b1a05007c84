import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import {
  expiryOf,
  isLive,
  isTouchTooSoon,
  type Limits,
  ttlOf,
  ttlSeconds,
} from "../../../packages/core/src/format/expiry.js";

const runs = { numRuns: 500 };
const DAY = 86_400_000;
const MAX_TTL = 30 * DAY;
const limits = (given: Partial<Limits> = {}): Limits => ({
  ttl: DAY,
  absoluteTtl: undefined,
  touchAfter: undefined,
  onTtlTooLong: "cut",
  ...given,
});

const moment = fc.integer({ min: 1_000_000_000_000, max: 4_000_000_000_000 });
const ttls = fc.oneof(
  fc.integer({ min: 1, max: 30 * DAY }),
  fc.double({ min: 0.001, max: 30 * DAY, noNaN: true }),
);
const absolute = fc.option(fc.integer({ min: 1, max: 90 * DAY }), { nil: undefined });

describe("the ttl that a write gets", () => {
  it("is the store's `ttl` where the write asks for none", () => {
    expect(ttlOf(undefined, limits({ ttl: 5000 }), MAX_TTL)).toBe(5000);
  });

  it.each([1, 0, -1, 0.5, 30 * DAY, Number.NEGATIVE_INFINITY])(
    "is %d ms where the write asks for it",
    (ttl) => {
      const onCut = vi.fn();
      expect(ttlOf(ttl, limits(), MAX_TTL, onCut)).toBe(ttl);
      expect(onCut).not.toHaveBeenCalled();
    },
  );

  it.each([Number.NaN, "60000", "session", {}, true, 1n, null, Object.create(null)].map((ttl) => ({ ttl })))(
    "is never $ttl, which is not a number: a TypeError that names `ttl`",
    ({ ttl }) => {
      const ask = () => ttlOf(ttl as never, limits({ ttl: Number.NaN }), MAX_TTL);
      expect(ask).toThrow(TypeError);
      expect(ask).toThrow("`ttl`");
    },
  );

  it.each([30 * DAY + 1, 365 * DAY, Number.POSITIVE_INFINITY])(
    "is cut to `maxTtl` where the write asks for %d ms, and the caller is told",
    (ttl) => {
      const onCut = vi.fn();
      expect(ttlOf(ttl, limits(), MAX_TTL, onCut)).toBe(30 * DAY);
      expect(onCut.mock.calls).toEqual([[ttl]]);
      expect(ttlOf(ttl, limits(), MAX_TTL)).toBe(30 * DAY);
    },
  );

  it("is cut where the store's own `ttl` is more than the bucket allows", () => {
    expect(ttlOf(undefined, limits({ ttl: 31 * DAY }), MAX_TTL)).toBe(30 * DAY);
  });

  it.each([30 * DAY + 1, Number.POSITIVE_INFINITY])(
    'of %d ms is an error that names both with `onTtlTooLong: "error"`',
    (ttl) => {
      expect(() => ttlOf(ttl, limits({ onTtlTooLong: "error" }), MAX_TTL)).toThrow(
        expect.objectContaining({
          code: "ERR_SESSION_TTL_TOO_LONG",
          message: expect.stringMatching(new RegExp(`${ttl} ms.*${30 * DAY} ms`)),
        }),
      );
    },
  );
});

describe("the end of a session", () => {
  it("is its ttl from now, cut by the absolute limit from its creation", () => {
    fc.assert(
      fc.property(moment, moment, ttls, absolute, (now, createdAt, ttl, absoluteTtl) => {
        const end = expiryOf(now, ttl, createdAt, limits({ absoluteTtl }));
        const exact = Math.min(now + ttl, createdAt + (absoluteTtl ?? Number.POSITIVE_INFINITY));
        expect(Math.abs(end - exact)).toBeLessThan(1);
      }),
      runs,
    );
  });

  it("is a whole number of milliseconds for every ttl and limit, as the storage format requires", () => {
    const anyLimit = fc.oneof(absolute, fc.double({ min: 1, max: 90 * DAY, noNaN: true }));
    fc.assert(
      fc.property(moment, ttls, anyLimit, (now, ttl, absoluteTtl) => {
        expect(Number.isInteger(expiryOf(now, ttl, now, limits({ absoluteTtl })))).toBe(true);
      }),
      runs,
    );
  });

  it("is exact: the session is live until the millisecond before, and never after", () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: 1, max: 30 * DAY }), absolute, (now, ttl, absoluteTtl) => {
        const given = limits({ absoluteTtl });
        const expiresAt = expiryOf(now, ttl, now, given);
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

  it("is never beyond the absolute limit, however often the session is renewed", () => {
    fc.assert(
      fc.property(
        moment,
        fc.integer({ min: 1000, max: DAY }),
        fc.array(fc.tuple(fc.nat(DAY), ttls), { maxLength: 30 }),
        (createdAt, absoluteTtl, renewals) => {
          let now = createdAt;
          for (const [pause, ttl] of renewals) {
            now += pause;
            expect(expiryOf(now, ttl, createdAt, limits({ absoluteTtl }))).toBeLessThanOrEqual(
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
    [0, 1],
    [-4000, 1],
  ])("for %d ms is %d s", (ms, seconds) => {
    expect(ttlSeconds(5000 + ms, 5000)).toBe(seconds);
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
  const tooSoon = (since: number, ttl: number, given: Partial<Limits> = {}) =>
    isTouchTooSoon(1_000_000 + ttl, 1_000_000 + since + ttl, ttl, limits(given));

  it.each([
    { ttl: 10_000, pause: 1000 },
    { ttl: 600_000, pause: 60_000 },
    { ttl: DAY, pause: 60_000 },
  ])("is too soon before $pause ms with a ttl of $ttl ms", ({ ttl, pause }) => {
    expect(tooSoon(pause - 1, ttl)).toBe(true);
    expect(tooSoon(pause, ttl)).toBe(false);
  });

  it("is too soon before `touchAfter` where that is given, whatever the ttl", () => {
    expect(tooSoon(499, 10_000, { touchAfter: 500 })).toBe(true);
    expect(tooSoon(500, 10_000, { touchAfter: 500 })).toBe(false);
  });

  it("is never too soon with `touchAfter: 0`, unless it would change nothing", () => {
    expect(tooSoon(1, DAY, { touchAfter: 0 })).toBe(false);
    expect(tooSoon(0, DAY, { touchAfter: 0 })).toBe(true);
  });

  it("never moves the end of a session to an earlier time", () => {
    fc.assert(
      fc.property(moment, fc.nat(DAY), fc.nat(DAY), (expiresAt, less, touchAfter) => {
        expect(isTouchTooSoon(expiresAt, expiresAt - less, DAY, limits({ touchAfter }))).toBe(true);
      }),
      runs,
    );
  });

  it("keeps a session alive for a visitor who comes back within 90 % of its ttl", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: DAY }),
        fc.array(fc.double({ min: 0, max: 0.9, noNaN: true }), { maxLength: 50 }),
        (ttl, pauses) => {
          let now = 1_000_000;
          let expiresAt = now + ttl;
          for (const pause of pauses) {
            now += Math.floor(pause * ttl);
            expect(now).toBeLessThan(expiresAt);
            const renewed = expiryOf(now, ttl, 1_000_000, limits());
            if (!isTouchTooSoon(expiresAt, renewed, ttl, limits())) expiresAt = renewed;
          }
        },
      ),
      runs,
    );
  });
});
