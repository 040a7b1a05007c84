import type { StoreContext } from "../entries/store-context.js";
import { isLive } from "../format/expiry.js";
import type { Membership, SessionMetadata } from "../format/metadata.js";

/** What a write builds on: the revision that must still be there, and the session in it. */
export interface Ground {
  readonly revision: number;
  readonly createdAt: number | undefined;
  readonly expiresAt: number | undefined;
  readonly membership: Membership | undefined;
  readonly others: SessionMetadata["others"];
}

export const NOTHING_THERE: Ground = {
  revision: 0,
  createdAt: undefined,
  expiresAt: undefined,
  membership: undefined,
  others: undefined,
};

export function groundOf({ revision, metadata }: { revision: number; metadata: SessionMetadata }): Ground {
  const { createdAt, expiresAt, membership, others } = metadata;
  return { revision, createdAt, expiresAt, membership, others };
}

/** What there may be, from any copy: the write shows whether it is still like that. */
export async function anyGround(context: StoreContext, handle: string, deadline: number): Promise<Ground> {
  const found = await context.sessions.findAny(handle, deadline);
  const session = context.sessions.sessionIn(handle, found);
  return session ? groundOf(session) : { ...NOTHING_THERE, revision: found.revision };
}

/** Without a record the session is replaced: what this process knows of it saves a conflict. */
export function recalledGround(context: StoreContext, handle: string): Ground | undefined {
  const known = context.sessions.recall(handle);
  return known && isLive(known.metadata, Date.now(), context.options) ? groundOf(known) : undefined;
}
