import { setTimeout as sleep } from "node:timers/promises";
import { unavailable } from "./failure.js";

/** First pause before something is asked again, in ms; each further one is twice as long, up to a quarter second. */
export const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 250;

export function longer(pause: number): number {
  return Math.min(LONGEST_PAUSE, pause * 2);
}

/**
 * Waits for a random time around `pause`, so that many clients do not come back at once.
 * @throws `ERR_SESSION_UNAVAILABLE` with `why`, at once, when the deadline would pass meanwhile.
 */
export async function pauseUntil(pause: number, deadline: number, why: string): Promise<void> {
  const ms = pause * (0.5 + Math.random());
  if (performance.now() + ms >= deadline) throw unavailable(why);
  await sleep(ms);
}
