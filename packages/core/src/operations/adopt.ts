import { isWritten } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import { expiryOf } from "../format/expiry.js";
import type { SessionMetadata } from "../format/metadata.js";
import type { OperationContext } from "../util/channels.js";
import { now } from "../util/timers.js";
import { serializeData, userIn } from "./application.js";
import { heldUp } from "./contention.js";
import { destroySession } from "./destroy.js";
import { LoadedSession } from "./loaded-session.js";
import { MembershipChange, ownerOf } from "./membership.js";

/** A session of another store, as it is to begin here. */
export interface Adoption<T extends object> {
  readonly data: T;
  /** When it ends (Unix ms); `undefined` = after the store's `ttl`. */
  readonly expiresAt?: number | undefined;
  /** When it began (Unix ms); `undefined` = now. */
  readonly createdAt?: number | undefined;
  /** Hash of its user's name, where that is known; else the option `user` names the user. */
  readonly userHash?: string | undefined;
  /**
   * The revision of the expired session that is there.
   * @default 0, nothing
   */
  readonly expected?: number | undefined;
}

/**
 * Stores a session of another store, with its remaining life, where nothing is here. It is not a sign-in: the limit
 * of sessions is not asked, and no other session is ended.
 * @returns the session; `undefined` where it has expired, `null` where something is here
 */
export function adoptSession<T extends object>(
  context: StoreContext,
  handle: string,
  adoption: Adoption<T>,
  deadline: number,
): Promise<LoadedSession<T> | null | undefined> {
  return context.writes.run(handle, () => adopt(context, handle, adoption, deadline));
}

/**
 * What `adoptSession` would do now.
 * @returns whether nothing is here; `undefined` where the session has expired
 */
export async function tryAdoption<T extends object>(
  context: StoreContext,
  handle: string,
  adoption: Adoption<T>,
  deadline: number,
): Promise<boolean | undefined> {
  const { expected = 0 } = adoption;
  const times = timesOf(context, adoption);
  if (!times) return undefined;
  await serializeData(context, adoption.data, deadline);
  const { revision } = await context.sessions.findCurrent(handle, deadline);
  return revision === expected;
}

/** When a session began, and when it ends here; `undefined` where that is over. */
function timesOf(
  { options, buckets }: StoreContext,
  { createdAt: began, expiresAt: asked }: Adoption<object>,
): { readonly createdAt: number; readonly expiresAt: number } | undefined {
  const time = Date.now();
  const createdAt = began ?? time;
  const life = Math.min(asked === undefined ? options.ttl : asked - time, buckets.facts.maxTtl);
  const expiresAt = expiryOf(time, life, createdAt, options);
  return expiresAt > time ? { createdAt, expiresAt } : undefined;
}

async function adopt<T extends object>(
  context: StoreContext,
  handle: string,
  adoption: Adoption<T>,
  deadline: number,
): Promise<LoadedSession<T> | null | undefined> {
  const { data, userHash, expected = 0 } = adoption;
  const times = timesOf(context, adoption);
  if (!times) return undefined;
  const { createdAt, expiresAt } = times;
  const value = await serializeData(context, data, deadline);
  const owner =
    userHash === undefined
      ? ownerOf(context, userIn(context, data, deadline), undefined)
      : { hash: userHash, hashes: [userHash] };
  const change = new MembershipChange(context, handle, deadline, false);
  const membership = await change.prepare(owner, undefined, expiresAt);
  const metadata: SessionMetadata = { createdAt, expiresAt, write: "create", membership };
  const answer = await context.sessions.write({ handle, value, metadata, expected }, deadline);
  if (typeof answer === "number")
    return new LoadedSession(handle, data, { revision: answer, value, metadata });
  const { session } = await context.sessions.readCurrent(handle, deadline);
  if (answer === "lost" && session && isWritten(session, { value, metadata })) {
    return new LoadedSession(handle, data, session);
  }
  change.rollback();
  return null;
}

/**
 * Ends a session, and leaves a tombstone where there was nothing: what another store holds of it must not begin here.
 * @returns whether there was a live one
 */
export async function destroyForGood(
  context: StoreContext,
  handle: string,
  deadline: number,
  trace?: OperationContext,
): Promise<boolean> {
  const wasLive = await destroySession(context, handle, undefined, deadline, trace);
  return context.writes.run(handle, async () => {
    for (;;) {
      const { revision: expected, tombstone, isLive } = await context.sessions.findCurrent(handle, deadline);
      if (tombstone?.reason === "destroyed") return wasLive;
      if (isLive) {
        // Another process has taken it from the other store in between.
        await destroySession(context, handle, undefined, deadline);
        continue;
      }
      const end = { createdAt: 0, expiresAt: Date.now() + context.buckets.facts.maxTtl };
      const answer = await context.sessions.remove({ handle, tombstone: end, expected }, deadline);
      if (typeof answer === "number") return wasLive;
      if (now() > deadline) throw heldUp(context);
    }
  });
}
