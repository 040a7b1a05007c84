import { type SessionStoreError, unavailable } from "../errors.js";
import { now, sleep } from "../util/timers.js";

/** First pause before a request is repeated, in ms; each further one is twice as long, up to a quarter second. */
export const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 250;

export function longer(pause: number): number {
  return Math.min(LONGEST_PAUSE, pause * 2);
}

/**
 * Waits for a random time around `pause`, so that many clients do not return at once.
 * @throws `why`, or `ERR_SESSION_UNAVAILABLE` for that reason, at once when the deadline would pass meanwhile
 */
export async function pauseUntil(
  pause: number,
  deadline: number,
  why: string | SessionStoreError,
): Promise<void> {
  const ms = pause * (0.5 + Math.random());
  if (now() + ms >= deadline) throw typeof why === "string" ? unavailable(why) : why;
  await sleep(ms);
}
