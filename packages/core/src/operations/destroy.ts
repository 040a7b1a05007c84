import type { Found } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import { isLive } from "../format/expiry.js";
import { isHandle } from "../format/keys.js";
import type { SessionMetadata } from "../format/metadata.js";
import { ended as endedChannel, type OperationContext } from "../util/channels.js";
import { now } from "../util/timers.js";
import { heldUp } from "./contention.js";

/** Restricts a destroy to the sessions of one user, by the hashes that the user's name may have. */
export interface OnlyOf {
  readonly hashes: readonly string[];
}

/** What a destroy knows of the session that it is about to end. */
interface Known {
  readonly revision: number;
  readonly metadata: Omit<SessionMetadata, "write">;
}

/**
 * Ends a session, also one that gets another id or is written at the same moment: every try builds on the revision
 * read last, so nothing is covered unread.
 *
 * @param only where given, the session is left alone unless it is this user's
 * @returns whether there was a live one
 * @throws `ERR_SESSION_CONTENTION` when the session was written faster than it could be ended
 */
export function destroySession(
  context: StoreContext,
  handle: string,
  only: OnlyOf | undefined,
  deadline: number,
  trace?: OperationContext,
): Promise<boolean> {
  return context.writes.run(handle, async () => {
    const met = new Set<string>();
    let wasLive = false;
    // A forged tombstone could lead in a circle.
    for (let current: string | undefined = handle; isHandle(current) && !met.has(current); ) {
      met.add(current);
      const ended: Ended = await endOne(context, current, only, deadline, trace);
      wasLive ||= ended.wasLive;
      current = ended.movedTo;
    }
    return wasLive;
  });
}

/** As `destroySession`, after the writes of the session that are under way in this process. */
export function destroyAfterWrites(
  context: StoreContext,
  handle: string,
  only: OnlyOf | undefined,
  deadline: number,
  trace?: OperationContext,
): Promise<boolean> {
  const destroy = () => destroySession(context, handle, only, deadline, trace);
  return context.writes.runAfter(handle, deadline, destroy);
}

/**
 * Ends the session of a handle, if it is `user`'s where one is given; false for what is no handle.
 * @throws TypeError for what is no text
 */
export async function destroyByHandle(
  context: StoreContext,
  handle: string,
  user: string | undefined,
  deadline: number,
  trace?: OperationContext,
): Promise<boolean> {
  if (typeof handle !== "string") throw new TypeError(`Expected a handle, got ${typeof handle}`);
  const only = user === undefined ? undefined : { hashes: context.users.all(user) };
  if (!isHandle(handle)) return false;
  return destroyAfterWrites(context, handle, only, deadline, trace);
}

interface Ended {
  readonly wasLive: boolean;
  /** The handle under which the session goes on, where it was given another id meanwhile. */
  readonly movedTo: string | undefined;
}

/** Ends the session of one handle; a rotation is not followed. */
async function endOne(
  context: StoreContext,
  handle: string,
  only: OnlyOf | undefined,
  deadline: number,
  trace: OperationContext | undefined,
): Promise<Ended> {
  // What this process knows is tried first: most sessions that are ended were read by the same request.
  let known: Known | undefined = context.sessions.recall(handle);
  if (known && only && !isOf(known, only)) known = undefined;
  let wasLive = false;
  for (;;) {
    if (!known) {
      const found = await look(context, handle, deadline);
      if (found.tombstone) return { wasLive, movedTo: found.tombstone.movedTo };
      if (!found.known) return { wasLive, movedTo: undefined };
      known = found.known;
    }
    const { revision: expected, metadata } = known;
    if (only && !isOf(known, only)) return { wasLive, movedTo: undefined };
    const { membership, createdAt, expiresAt } = metadata;
    const isAlive = isLive(metadata, Date.now(), context.options);
    const tombstone = { createdAt, expiresAt, userHash: membership?.userHash };
    const answer = await context.sessions.remove({ handle, tombstone, expected }, deadline);
    if (typeof answer === "number") {
      if (membership) context.index.remove([{ ...membership, handle }]);
      wasLive ||= isAlive;
      if (wasLive && endedChannel.hasSubscribers) {
        endedChannel.publish({ bucket: context.options.bucket, handle });
      }
      return { wasLive, movedTo: undefined };
    }
    // Without an answer it may be this process that ended the session, which the next look shows.
    if (answer === "lost") wasLive ||= isAlive;
    if (now() > deadline) throw heldUp(context);
    if (trace) trace.attempts++;
    known = undefined;
  }
}

function isOf({ metadata: { membership } }: Known, { hashes }: OnlyOf): boolean {
  return membership !== undefined && hashes.includes(membership.userHash);
}

async function look(
  context: StoreContext,
  handle: string,
  deadline: number,
): Promise<Pick<Found, "tombstone"> & { readonly known: Known | undefined }> {
  const { revision, tombstone, metadata } = await context.sessions.findCurrent(handle, deadline);
  if (revision === 0) return { tombstone: undefined, known: undefined };
  if (tombstone) return { tombstone, known: undefined };
  // What cannot be read can still be ended; its life is then taken to be the longest that there is.
  const unknown = { createdAt: 0, expiresAt: Date.now() + context.buckets.facts.maxTtl };
  return { tombstone: undefined, known: { revision, metadata: metadata ?? unknown } };
}
