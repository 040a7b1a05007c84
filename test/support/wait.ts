import { setTimeout as sleep } from "node:timers/promises";

/** Waits until the condition holds; it fails with what it waited for, never silently. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeout = 10_000,
): Promise<void> {
  const end = Date.now() + timeout;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited ${timeout} ms in vain for: ${what}`);
    await sleep(10);
  }
}

/** Waits until a moment (unix ms) has passed: for expiries, which are about time itself. */
export async function untilTime(moment: number): Promise<void> {
  for (let left = moment - Date.now(); left >= 0; left = moment - Date.now()) await sleep(left + 1);
}
