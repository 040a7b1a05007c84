import type { SessionMetadata } from "./format/metadata.js";
import type { UserHasher } from "./format/user-hash.js";
import type { Buckets } from "./nats/buckets.js";
import type { ResolvedOptions } from "./resolve-options.js";
import type { Turns } from "./util/turns.js";

/** What every part of an open store works with. */
export interface Context {
  readonly options: ResolvedOptions;
  readonly buckets: Buckets;
  readonly users: UserHasher;
  /** Start of this store's session keys; the handle follows. */
  readonly sessionKeyStart: string;
  /** Start of this store's index keys; the user's hash follows. */
  readonly indexKeyStart: string;
  /**
   * Runs a task in the background, with a deadline of its own; `close()` waits for it. A failure is ignored: only
   * what a later operation repairs may run here.
   */
  readonly background: (task: (deadline: number) => Promise<unknown>) => void;
  /** Warns, once for each store, that a session asked for a longer life than `maxTtl`. */
  readonly warnOfLongTtl: (asked: number) => void;
  /** Resolves after `ms`, or when `close()` is called. */
  readonly pause: (ms: number) => Promise<void>;
  readonly isClosing: () => boolean;
  /** For large pieces of work, one in each turn of the event loop. */
  readonly turns: Turns;
}

/** A live session as it is stored. */
export interface StoredSession {
  readonly revision: number;
  readonly value: Uint8Array;
  readonly metadata: SessionMetadata;
  /** When it was stored (Unix ms), for listings from the cache alone. */
  readonly writtenAt?: number;
}
