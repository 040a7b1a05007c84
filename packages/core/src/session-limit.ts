import { type Context, deadlineOf } from "./context.js";
import { destroySession } from "./destroy.js";
import { SessionStoreError } from "./errors.js";
import type { Ownership } from "./record.js";
import { indexKey, leave } from "./user-index.js";
import { indexedSessions, type OwnedSession } from "./user-sessions.js";

/** A sign-in that is under way holds its place for this many timeouts; then it counts as given up. */
const PLACE_HELD = 3;

/**
 * Ends the sessions of a user that are too many, those first that have been theirs longest. Whoever signs in
 * looks after their own session is stored, so the last one to look sees all of them; and all agree on who is
 * oldest. So however many sign in at a time, in whatever processes, exactly as many stay as are allowed.
 */
export async function endOldest(context: Context, owner: string): Promise<void> {
  const { maxSessionsPerUser: most, onLimit } = context.options;
  if (most === undefined || onLimit !== "end-oldest") return;
  const sessions: OwnedSession[] = [];
  for await (const batch of indexedSessions(context, owner)) {
    sessions.push(...batch.flatMap(({ session }) => session ?? []));
  }
  const tooMany = sessions.sort(bySignIn).slice(0, Math.max(0, sessions.length - most));
  await Promise.all(tooMany.map(({ handle }) => destroySession(context, handle, owner)));
}

/**
 * Lets a session in, or not, before it is stored. Its index entry is there already and holds its place in the
 * order that the server has given to all: there must be fewer live sessions, and sign-ins under way that were
 * entered before, than are allowed.
 *
 * @throws `ERR_SESSION_LIMIT`
 */
export async function admit(context: Context, handle: string, ownership: Ownership): Promise<void> {
  const { maxSessionsPerUser: most, onLimit } = context.options;
  if (most === undefined || onLimit !== "refuse") return;
  let before = 0;
  for await (const batch of indexedSessions(context, ownership.owner)) {
    const others = batch.filter((other) => other.handle !== handle);
    const count = await Promise.all(
      others.map((other) => other.session !== null || isUnderWay(context, other.handle, ownership)),
    );
    before += count.filter((counts) => counts).length;
  }
  if (before < most) return;
  leave(context, handle, ownership);
  throw new SessionStoreError(
    "ERR_SESSION_LIMIT",
    `The user has as many sessions as \`maxSessionsPerUser\` allows (${most}).`,
  );
}

/** Whether an index entry without a session is a sign-in that was entered before ours and may still be stored. */
async function isUnderWay(context: Context, other: string, ours: Ownership): Promise<boolean> {
  const key = indexKey(context, ours.owner, other);
  const entry = await context.bucket.entries.readFromLeader(key, deadlineOf(context));
  if (!entry || entry.deleted || entry.revision > ours.indexRevision) return false;
  return Date.now() - entry.writtenAt() < PLACE_HELD * context.options.timeout;
}

function bySignIn({ ownership: one }: OwnedSession, { ownership: other }: OwnedSession): number {
  return one.since - other.since || one.indexRevision - other.indexRevision;
}
