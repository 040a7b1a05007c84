import type { Context } from "../context.js";
import { SessionStoreError, unavailable } from "../errors.js";
import { now } from "../util/timers.js";

/** A bucket that has not answered anything for so long, in ms, is what holds a write up, not other writers. */
const SILENCE = 250;

/** The error for a write that other writers, or a slow bucket, kept from landing. */
export function heldUp({ buckets }: Pick<Context, "buckets">): SessionStoreError {
  if (now() - buckets.repliedAt >= SILENCE) return unavailable("answers came too late to write the session");
  return new SessionStoreError(
    "ERR_SESSION_CONTENTION",
    "Other requests kept writing the session until the deadline.",
  );
}
