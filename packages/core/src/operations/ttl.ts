import type { Context } from "../context.js";
import { ttlOf } from "../format/expiry.js";
import type { SaveOptions } from "../types.js";
import { warn } from "../util/warn.js";

/**
 * The time to live in ms that a write asks for; the store's `ttl` where it asks for none.
 * @throws TypeError for anything but a number; `ERR_SESSION_TTL_TOO_LONG` with `onTtlTooLong: "error"`
 */
export function ttlFor(context: Context, ttl: number | undefined): number {
  return ttlOf(ttl, context.options, context.buckets.facts.maxTtl, context.warnOfLongTtl);
}

/** As `ttlFor`, for what a save was given: a time to live, or a function of the data that are stored. */
export function ttlForData<T extends object>(context: Context, ttl: SaveOptions<T>["ttl"], data: T): number {
  return ttlFor(context, typeof ttl === "function" ? ttl(data) : ttl);
}

/** A function that warns, once, of a session that asks for a longer life than it may have. */
export function longTtlWarning(bucket: string, maxTtl: () => number): (asked: number) => void {
  let hasWarned = false;
  return (asked) => {
    if (hasWarned) return;
    hasWarned = true;
    warn(
      bucket,
      "NATS_SESSION_TTL_CUT",
      `A session asked for ${asked} ms to live and gets \`maxTtl\`, ${maxTtl()} ms. Set a larger \`maxTtl\`, or ask for less (the cookie's maxAge, \`ttl\`).`,
    );
  };
}
