import type { StoreContext } from "../entries/store-context.js";
import { isLive } from "../format/expiry.js";
import type { SessionMetadata } from "../format/metadata.js";

/** What a write builds on: the revision that must still be there, and what is known of the session in it. */
export interface Ground {
  readonly revision: number;
  /** `undefined` = there is no session. */
  readonly metadata: SessionMetadata | undefined;
}

export const NOTHING_THERE: Ground = { revision: 0, metadata: undefined };

/** What there may be, from any copy: the write shows whether it is still like that. */
export async function anyGround(context: StoreContext, handle: string, deadline: number): Promise<Ground> {
  const found = await context.sessions.findAny(handle, deadline);
  return context.sessions.sessionIn(handle, found) ?? { revision: found.revision, metadata: undefined };
}

/** Without a record the session is replaced: what this process knows of it saves a conflict. */
export function recalledGround(context: StoreContext, handle: string): Ground | undefined {
  const known = context.sessions.recall(handle);
  return known && isLive(known.metadata, Date.now(), context.options) ? known : undefined;
}
