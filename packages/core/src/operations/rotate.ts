import type { StoredSession } from "../context.js";
import { isWritten } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import { SessionStoreError } from "../errors.js";
import { expiryOf, isLive } from "../format/expiry.js";
import type { Membership, SessionMetadata } from "../format/metadata.js";
import type { RotateOptions, SaveResult } from "../types.js";
import { gone, merges, type OperationContext } from "../util/channels.js";
import { now } from "../util/timers.js";
import { serializeData, userIn } from "./application.js";
import { type Content, reconcile } from "./conflict.js";
import { heldUp } from "./contention.js";
import { destroySession } from "./destroy.js";
import { follow } from "./follow.js";
import { GONE } from "./gone.js";
import { baseOf, LoadedSession, loadedSession, storedOf } from "./loaded-session.js";
import { MembershipChange, ownerOf } from "./membership.js";
import { ttlForData } from "./ttl.js";

/** A session as it is stored now, and where. */
interface Current {
  readonly handle: string;
  readonly session: StoredSession;
}

/**
 * Gives a session another id: stores it under the new one, then ends it under the old one, if it is still what it
 * was; otherwise all over again with what has been written there. The old id, which an attacker may know, never holds
 * the new data. The session keeps its age, and its place among its user's sessions.
 *
 * Another request may have rotated the session first, after a double click on a sign-in button. The browser keeps the
 * cookie of either response. So the session of the first one stays as it is, and this request gets a session of its
 * own with the same age.
 */
export function rotateSession<T extends object>(
  context: StoreContext,
  handle: string,
  newHandle: string,
  data: T,
  options: RotateOptions<T>,
  deadline: number,
  trace?: OperationContext,
): Promise<SaveResult<T>> {
  if (handle === newHandle) throw new TypeError("Expected the new session id to be another than the old one");
  return context.writes.run(newHandle, () =>
    context.writes.runAfter(handle, deadline, () =>
      rotate(context, handle, newHandle, data, options, deadline, trace),
    ),
  );
}

async function rotate<T extends object>(
  context: StoreContext,
  handle: string,
  newHandle: string,
  data: T,
  { record: given, ttl, source = data, newSource = source }: RotateOptions<T>,
  deadline: number,
  trace: OperationContext | undefined,
): Promise<SaveResult<T>> {
  const { sessions, options } = context;
  const record = loadedSession(given, handle);
  if (ttlForData(context, ttl, data) <= 0) {
    await destroySession(context, handle, undefined, deadline);
    return GONE;
  }
  const ours: Content<T> = { data, value: await serializeData(context, data, deadline) };
  const base = baseOf(record, source);
  const membership = new MembershipChange(context, newHandle, deadline);
  /** What is stored under the new id: revision 0 = nothing yet. */
  let revision = 0;
  /** Whether the end of the old id may have been stored without an answer. */
  let mayHaveEnded = false;

  /** Stores the session under its new id. @returns its metadata; `undefined` where it has expired */
  const store = async (
    { data, value }: Content<T>,
    { metadata: { createdAt, others } }: StoredSession,
    before: Membership | undefined,
  ): Promise<SessionMetadata | undefined> => {
    const time = Date.now();
    const expiresAt = expiryOf(time, ttlForData(context, ttl, data), createdAt, options);
    if (expiresAt <= time) return undefined;
    const owner = ownerOf(context, userIn(context, data, deadline), before);
    const member = await membership.prepare(owner, before, expiresAt, true);
    const metadata: SessionMetadata = { createdAt, expiresAt, write: "create", membership: member, others };
    for (;;) {
      const write = { handle: newHandle, value, metadata, expected: revision };
      membership.sending();
      const answer = await sessions.write(write, deadline);
      if (typeof answer === "number") {
        revision = answer;
        return metadata;
      }
      // Only this operation knows the new id. So what is there is its own earlier write, perhaps ended since with the
      // user's other sessions, or the id was taken before.
      const found = await sessions.readCurrent(newHandle, deadline);
      if (found.session && isWritten(found.session, { value, metadata })) {
        revision = found.revision;
        return metadata;
      }
      if (revision > 0 && !found.session) return undefined;
      if (answer === "conflict" || found.revision !== revision) throw taken();
      if (now() > deadline) throw heldUp(context);
    }
  };

  /** Ends the old id on top of what the new one holds. @returns false where it has been written or ended since */
  const endOld = async ({ metadata, revision: expected }: StoredSession): Promise<boolean> => {
    const { createdAt, expiresAt, membership: before } = metadata;
    const tombstone = { createdAt, expiresAt, userHash: before?.userHash, movedTo: newHandle };
    const answer = await sessions.remove({ handle, tombstone, expected }, deadline);
    if (typeof answer === "number") return true;
    mayHaveEnded ||= answer === "lost";
    if (!mayHaveEnded) return false;
    const found = await sessions.findCurrent(handle, deadline);
    return found.tombstone?.movedTo === newHandle;
  };

  /** The session under its old id, or under the id that other requests have given it. */
  const current = async (): Promise<Current | null> => {
    const find = (at: string) => sessions.findCurrent(at, deadline);
    const { handle: at, found } = await follow(handle, find, new Set([newHandle]));
    const session = sessions.sessionIn(at, found);
    // Begun again under the same id, it is another session.
    return session?.metadata.createdAt === record.createdAt ? { handle: at, session } : null;
  };

  try {
    const isUsable = isLive(record, Date.now(), options);
    let from: Current | null = isUsable ? { handle, session: storedOf(record) } : await current();
    for (; from; from = await current()) {
      const { session: old } = from;
      const { onConflict } = options;
      const sides = { ours, base, theirs: old.value, mayIncludeOurs: false, onConflict };
      const content: Content<T> = await reconcile(context, sides, deadline);
      const isMoved = from.handle !== handle;
      // The session that was moved has kept its place among the user's sessions: this one gets another.
      if (isMoved) membership.rollback();
      const before = isMoved ? undefined : old.metadata.membership;
      const metadata = await store(content, old, before);
      if (!metadata) break;
      // A sign-out of the session that was moved, before this one was stored, ends this one too.
      const isDone = isMoved ? (await current()) !== null : await endOld(old);
      if (isDone) {
        await membership.commit(before, revision, handle);
        const held = content === ours ? undefined : { value: ours.value, source: newSource };
        const stored = { revision, value: content.value, metadata };
        const result = new LoadedSession(newHandle, content.data, stored, held);
        if (held && merges.hasSubscribers) {
          merges.publish({ bucket: options.bucket, handle: newHandle, operation: "rotate" });
        }
        return { outcome: held ? "merged" : "saved", record: result };
      }
      if (now() > deadline) throw heldUp(context);
      if (trace) trace.attempts++;
    }
  } catch (error) {
    membership.fail();
    // No caller has been given the new id.
    if (membership.isSent)
      context.background((later) => destroySession(context, newHandle, undefined, later));
    throw error;
  }
  membership.rollback();
  if (gone.hasSubscribers) gone.publish({ bucket: options.bucket, handle, operation: "rotate" });
  if (revision > 0) await destroySession(context, newHandle, undefined, deadline);
  return GONE;
}

function taken(): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_CONFLICT", "The new session id is in use already.");
}
