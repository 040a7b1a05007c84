import { setTimeout as sleep } from "node:timers/promises";

/** Waits until the condition holds; it fails with what it waited for, never silently. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeout = 30_000,
): Promise<void> {
  const end = performance.now() + timeout;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Waited ${timeout} ms in vain for: ${what}`);
    await sleep(10);
  }
}

/**
 * For what must happen while a session is still alive: tried with longer and longer lives, in ms, until it says
 * that the machine was fast enough.
 */
export async function withinLife(
  shortest: number,
  attempt: (life: number) => Promise<boolean>,
): Promise<void> {
  for (let life = shortest; !(await attempt(life)); life *= 2) {
    if (life > 20 * shortest) throw new Error(`A life of ${life} ms was over too soon`);
  }
}

/**
 * A clock of the time that this process really had, in ms since the call: for upper bounds. While the process gets
 * no time, its own timers cannot run either, so the clock stands still.
 */
export function stopwatch(): { elapsed(): number; stop(): void } {
  const tick = 10;
  let last = performance.now();
  let elapsed = 0;
  const read = () => {
    const now = performance.now();
    elapsed += Math.min(now - last, 2 * tick);
    last = now;
    return elapsed;
  };
  const timer = setInterval(read, tick);
  return { elapsed: read, stop: () => clearInterval(timer) };
}

/** Waits until a moment (unix ms) has passed: for expiries, which are about time itself. */
export async function untilTime(moment: number): Promise<void> {
  for (let left = moment - Date.now(); left >= 0; left = moment - Date.now()) await sleep(left + 1);
}
