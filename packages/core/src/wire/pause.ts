import { setTimeout as sleep } from "node:timers/promises";
import type { SessionStoreError } from "../errors.js";
import { unavailable } from "./failure.js";

/** First pause before something is asked again, in ms; each further one is twice as long, up to a quarter second. */
export const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 250;

export function longer(pause: number): number {
  return Math.min(LONGEST_PAUSE, pause * 2);
}

/**
 * Waits for a random time around `pause`, so that many clients do not come back at once.
 * @throws `why`, or `ERR_SESSION_UNAVAILABLE` for that reason, at once when the deadline would pass meanwhile.
 */
export async function pauseUntil(
  pause: number,
  deadline: number,
  why: string | SessionStoreError,
): Promise<void> {
  const ms = pause * (0.5 + Math.random());
  if (performance.now() + ms >= deadline) throw typeof why === "string" ? unavailable(why) : why;
  await sleep(ms);
}
