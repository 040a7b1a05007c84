import type { SessionStoreOptions } from "nats-session-store";

/** Whether responses are held, and for how long at most (ms). */
export type HoldResponse = boolean | { readonly most: number };

/** The options of the core, and one of this adapter. */
export interface NatsStoreOptions extends SessionStoreOptions {
  /**
   * Hold each response of Express back until its session is stored, so that a browser cannot follow a redirect
   * before. With `most` (ms) a response is sent after that time, although the server has not answered.
   * @default true
   * @example { most: 200 }
   */
  holdResponse?: HoldResponse | undefined;
}

const LONGEST_TIMER = 2_147_483_647;

/**
 * The longest time (ms) that a response is held; `undefined` = until its save is answered.
 * @throws TypeError
 */
export function longestHold(option: unknown): number | undefined {
  if (option === true) return undefined;
  if (option === false) return 0;
  const { most, ...others } =
    typeof option === "object" && option !== null ? (option as { most?: unknown }) : {};
  const isTime = typeof most === "number" && most >= 0 && most <= LONGEST_TIMER;
  if (isTime && Object.keys(others).length === 0) return most;
  throw new TypeError(
    "Expected `holdResponse` to be a boolean or an object with `most`, a number of milliseconds",
  );
}
