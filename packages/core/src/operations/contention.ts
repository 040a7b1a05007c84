import type { Context } from "../context.js";
import { SessionStoreError, unavailable } from "../errors.js";
import { now } from "../util/timers.js";

/** A bucket that has not answered anything for so long, in ms, is what holds a write up, not other writers. */
const SILENCE = 250;

/** The error for an operation that other writers outran until its deadline. */
export function contention(): SessionStoreError {
  return new SessionStoreError(
    "ERR_SESSION_CONTENTION",
    "Other requests kept writing the session until the deadline.",
  );
}

/** The error for a write that other writers, or a slow bucket, kept from landing. */
export function heldUp({ buckets }: Pick<Context, "buckets">): SessionStoreError {
  return now() - buckets.repliedAt < SILENCE
    ? contention()
    : unavailable("answers came too late to write the session");
}
