import type { StoredSession } from "../context.js";
import { isWritten } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import { expiryOf, isLive, isTouchTooSoon } from "../format/expiry.js";
import type { SessionMetadata } from "../format/metadata.js";
import type { SessionRecord, TouchOptions, TouchResult } from "../types.js";
import { gone, type OperationContext } from "../util/channels.js";
import { now } from "../util/timers.js";
import { within } from "../util/within.js";
import { deserializeData, userIn } from "./application.js";
import { heldUp } from "./contention.js";
import { GONE } from "./gone.js";
import type { Owner } from "./limit.js";
import { loadedSession, renewed, storedOf } from "./loaded-session.js";
import { MembershipChange, ownerOf } from "./membership.js";
import { ttlFor } from "./ttl.js";

/** Whether a touch of this record would store anything now, or be skipped as too soon after the last write. */
export function isTouchDue<T extends object>(
  context: StoreContext,
  record: SessionRecord<T>,
  { ttl }: TouchOptions,
): boolean {
  try {
    return !timingOf(context, record, ttl).isTooSoon;
  } catch {
    // A time to live that is not allowed is for the touch to report.
    return true;
  }
}

/** When a touch of this record would let the session end, and whether that is too soon after the last write. */
function timingOf<T extends object>(
  context: StoreContext,
  record: SessionRecord<T>,
  ttl: number | undefined,
): { readonly life: number; readonly expiresAt: number; readonly isTooSoon: boolean } {
  const life = ttlFor(context, ttl);
  const time = Date.now();
  const expiresAt = expiryOf(time, life, record.createdAt, context.options);
  const isTooSoon =
    isLive(record, time, context.options) &&
    isTouchTooSoon(record.expiresAt, expiresAt, life, context.options);
  return { life, expiresAt, isTooSoon };
}

/**
 * Renews a session: stores what is there again, with a later expiry. Where another request has written it meanwhile,
 * its bytes are kept, and the session is renewed only if it does not live long enough already. Of a page's requests
 * that all find it time for a touch, one stores it and the others wait for that one.
 */
export async function touchSession<T extends object>(
  context: StoreContext,
  handle: string,
  given: SessionRecord<T>,
  { ttl }: TouchOptions,
  deadline: number,
  trace?: OperationContext,
): Promise<TouchResult<T>> {
  const record = loadedSession(given, handle);
  const { createdAt } = record;
  const { life, expiresAt, isTooSoon } = timingOf(context, record, ttl);
  if (isTooSoon) return { outcome: "skipped", record };
  const other = context.touching.get(handle);
  if (other?.createdAt === createdAt && isTouchTooSoon(other.expiresAt, expiresAt, life, context.options)) {
    // It may have begun later, or earlier: then it has failed, perhaps, where this touch still has time.
    const tried = other.result.catch(() => undefined);
    const touched = await within(deadline, tried, () => heldUp(context));
    if (!touched) return touchSession(context, handle, given, { ttl }, deadline, trace);
    return touched.outcome === "gone" ? GONE : { outcome: "skipped", record };
  }
  const result = context.writes.run(handle, () => storeTouch(context, handle, record, life, deadline, trace));
  const touching = { createdAt, expiresAt, result };
  context.touching.set(handle, touching);
  try {
    return await result;
  } finally {
    if (context.touching.get(handle) === touching) context.touching.delete(handle);
  }
}

async function storeTouch<T extends object>(
  context: StoreContext,
  handle: string,
  record: ReturnType<typeof loadedSession<T>>,
  life: number,
  deadline: number,
  trace: OperationContext | undefined,
): Promise<TouchResult<T>> {
  const { options, sessions } = context;
  const { createdAt } = record;
  const membership = new MembershipChange(context, handle, deadline);
  let current: StoredSession = storedOf(record);
  let unanswered: SessionMetadata | undefined;
  for (let isKnown = isLive(record, Date.now(), options); ; isKnown = false) {
    if (!isKnown) {
      const { session } = await sessions.readCurrent(handle, deadline);
      // A session begun again under the same id is another one.
      if (session?.metadata.createdAt !== createdAt) {
        membership.rollback();
        if (gone.hasSubscribers) gone.publish({ bucket: options.bucket, handle, operation: "touch" });
        return GONE;
      }
      if (unanswered && isWritten(session, { value: current.value, metadata: unanswered })) {
        await membership.commit(current.metadata.membership, session.revision);
        return { outcome: "touched", record: renewed(record, session.value, session.revision, unanswered) };
      }
      current = session;
      const wanted = expiryOf(Date.now(), life, createdAt, options);
      if (isTouchTooSoon(current.metadata.expiresAt, wanted, life, context.options)) {
        const { value, revision, metadata } = current;
        return { outcome: "skipped", record: renewed(record, value, revision, metadata) };
      }
    }
    const { value, revision, metadata: before } = current;
    const expiresAt = expiryOf(Date.now(), life, createdAt, options);
    const owner = await storedOwner(context, current, deadline);
    const member = await membership.prepare(owner, before.membership, expiresAt);
    const { others } = before;
    const metadata: SessionMetadata = { createdAt, expiresAt, write: "touch", membership: member, others };
    membership.sending();
    const answer = await sessions.write({ handle, value, metadata, expected: revision }, deadline);
    if (typeof answer === "number") {
      await membership.commit(before.membership, answer);
      return { outcome: "touched", record: renewed(record, value, answer, metadata) };
    }
    unanswered = answer === "lost" ? metadata : undefined;
    if (now() > deadline) throw heldUp(context);
    if (trace) trace.attempts++;
  }
}

/**
 * The user of a session by what is stored: the caller may have changed the data since they were loaded. The name is
 * asked for only where the user is not known, or where the name may have another hash by now.
 */
async function storedOwner(
  context: StoreContext,
  { value, metadata: { membership } }: StoredSession,
  deadline: number,
): Promise<Owner | undefined> {
  const { user } = context.options;
  if (!user || (membership && !context.users.isKeyed)) {
    return membership && { hash: membership.userHash, hashes: [membership.userHash] };
  }
  const name = userIn(context, await deserializeData(context, value, deadline), deadline);
  return ownerOf(context, name, membership);
}
