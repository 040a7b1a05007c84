import { setTimeout as sleep } from "node:timers/promises";
import type { Stores } from "./stores.js";
import { newBucket } from "./variants.js";

export function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

interface Storm {
  /** How often a quiet and a busy time take turns: what else the machine does is the same for both. */
  readonly rounds: number;
  readonly seconds: number;
  /** Sign-ins of one account. */
  readonly perSecond: number;
}

/** Median times of other users' sign-ins, in ms, while one account signs in again and again, and while it does not. */
export async function otherSignIns(
  stores: Stores,
  { rounds, seconds, perSecond }: Storm,
): Promise<{ quiet: number; busy: number; failed: number }> {
  const options = { bucket: newBucket(), maxSessionsPerUser: 5 };
  const [noisy, store] = [await stores.open(options), await stores.open(options)];
  const times: { quiet: number[]; busy: number[] } = { quiet: [], busy: [] };
  let [count, failed] = [0, 0];
  for (let round = 0; round < 2 * rounds; round++) {
    const isBusy = round % 2 === 1;
    const end = performance.now() + 1000 * seconds;
    const running: Promise<unknown>[] = [];
    const storm = async () => {
      for (let n = 0; isBusy && performance.now() < end; n++) {
        const saving = noisy.save(`noisy ${round} ${n}`, { user: "mallory" });
        running.push(saving.catch(() => failed++));
        await sleep(1000 / perSecond);
      }
    };
    const probe = async () => {
      while (performance.now() < end) {
        const start = performance.now();
        // Each of a user of its own, so that all cost the same.
        await store.save(`probe ${++count}`, { user: `user ${count}` });
        times[isBusy ? "busy" : "quiet"].push(performance.now() - start);
        await sleep(5);
      }
    };
    await Promise.all([storm(), probe()]);
    await Promise.all(running);
  }
  return { quiet: median(times.quiet), busy: median(times.busy), failed };
}
