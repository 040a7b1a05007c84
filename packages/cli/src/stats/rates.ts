import type { FeedEvent } from "nats-session-store";
import type { Activity } from "./totals.js";

const SECONDS = 60;

const NOTHING: Activity = { signIns: 0, ends: 0, expiries: 0, merges: 0 };

/** Counts what the change feed reports, for the last minute. */
export class Rates {
  /** A count for each second of the last minute, by the number of the second. */
  readonly #seconds = new Map<number, { -readonly [name in keyof Activity]: number }>();
  /** How often changes may have been lost. */
  missed = 0;

  add(event: FeedEvent, now: number): void {
    if (event.type === "missed") this.missed++;
    const second = this.#second(Math.floor(now / 1000));
    if (event.type === "created") second.signIns++;
    if (event.type === "expired") second.expiries++;
    if (event.type === "updated" && event.isMerge) second.merges++;
    if (event.type !== "destroyed") return;
    // A rotation is reported as a created session and the end of another one.
    if (event.movedTo === undefined) second.ends++;
    else second.signIns--;
  }

  /** What happened in the last 60 seconds. */
  lastMinute(now: number): Activity {
    const sum = { ...NOTHING };
    for (const [number, second] of this.#seconds) {
      if (number <= now / 1000 - SECONDS) this.#seconds.delete(number);
      else for (const name of NAMES) sum[name] += second[name];
    }
    for (const name of NAMES) sum[name] = Math.max(0, sum[name]);
    return sum;
  }

  /** What happened in each of the last 60 seconds, the current one last. */
  perSecond(now: number): Activity[] {
    const current = Math.floor(now / 1000);
    return Array.from({ length: SECONDS }, (_, n) => this.#seconds.get(current - SECONDS + 1 + n) ?? NOTHING);
  }

  #second(number: number) {
    const second = this.#seconds.get(number) ?? { ...NOTHING };
    this.#seconds.set(number, second);
    return second;
  }
}

const NAMES = ["signIns", "ends", "expiries", "merges"] as const;
