import type { Context } from "../context.js";
import type { Entries } from "../nats/entries.js";

/** Where an entry lies. */
export interface Place {
  readonly entries: Entries;
  readonly key: string;
}

/** Where the session of a handle lies: decided here and nowhere else. */
export function sessionPlace({ bucket, sessionKeyStart }: Context, handle: string): Place {
  return { entries: bucket.entries, key: sessionKeyStart + handle };
}

/** Where the index entry of a user lies. */
export function indexPlace({ bucket, indexKeyStart }: Context, userHash: string): Place {
  return { entries: bucket.entries, key: indexKeyStart + userHash };
}
