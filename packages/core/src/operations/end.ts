import type { StoreContext } from "../entries/store-context.js";
import type { SessionEnd } from "../types.js";

/** Whether a session is live, and until when unless it is renewed (Unix ms); else how it ended. */
export async function lookUpEnd(
  context: StoreContext,
  handle: string,
  deadline: number,
): Promise<SessionEnd | { readonly expiresAt: number }> {
  const { metadata, isLive, tombstone } = await context.sessions.findCurrent(handle, deadline);
  if (isLive && metadata) return metadata;
  if (!tombstone) return { reason: "expired" };
  const { movedTo, reason } = tombstone;
  return movedTo === undefined ? { reason } : { reason: "rotated", movedTo };
}
