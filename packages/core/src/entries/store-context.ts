import type { Context } from "../context.js";
import type { TouchResult } from "../types.js";
import type { KeyedQueue } from "../util/keyed-queue.js";
import type { ReadYourWrites } from "./read-your-writes.js";
import type { Sessions } from "./sessions.js";
import type { UserIndex } from "./user-index.js";

/** A touch that is being stored. */
export interface Touching {
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly result: Promise<TouchResult<object>>;
}

/** What the operations of a store work with. */
export interface StoreContext extends Context {
  readonly sessions: Sessions;
  readonly index: UserIndex;
  readonly writes: ReadYourWrites;
  /** Saves of one session that have met a conflict, one after the other. */
  readonly contended: KeyedQueue<string>;
  /** Updates of one session that have met a conflict, one after the other. */
  readonly updating: KeyedQueue<string>;
  /** Touches that are being stored, by handle. */
  readonly touching: Map<string, Touching>;
  /** Users whose sessions beyond the limit are being ended in the background, by hash. */
  readonly ending: Set<string>;
}
