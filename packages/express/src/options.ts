import type { Store } from "express-session";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import type { MigrateFrom } from "nats-session-store/adapter";

/** Whether responses are held, and for how long at most (ms). */
export type HoldResponse = boolean | { readonly most: number };

/** The options of the core, and those of this adapter. */
export interface NatsStoreOptions extends SessionStoreOptions {
  /**
   * Hold each response of Express back until its session is stored, so that a browser cannot follow a redirect
   * before. With `most` (ms) a response is sent after that time, although the server has not answered.
   * @default true
   * @example { most: 200 }
   */
  holdResponse?: HoldResponse | undefined;
  /**
   * The store that holds the sessions now, so that they move in from there and nobody is signed out: any store of
   * express-session, or another store of this project. A session that is not here, and was not ended here, is asked
   * for there, and stored here with its remaining life; a destroy ends it in both. Where the old store does not
   * answer, nothing is known of the session (`ERR_SESSION_UNAVAILABLE`). `phase` says what processes of the release
   * before may do meanwhile, see {@link MigrateFrom}.
   * @default none
   * @example { store: new RedisStore({ client }), phase: "old-first" }
   */
  // biome-ignore lint/suspicious/noExplicitAny: a store of the core, whatever its sessions hold
  migrateFrom?: MigrateFrom<Store | SessionStore<any>> | undefined;
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
