import { bucketOf } from "../entries/place.js";
import type { Found } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import { inOrder, type Member } from "../entries/user-index.js";
import { follow } from "./follow.js";

/** How many sessions of a user are read at a time, and held in memory. */
export const BATCH = 64;

/** A session of a user that is stored, from its headers alone. */
export interface OwnedSession {
  readonly handle: string;
  readonly place: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Whether it has not expired by this process's clock. */
  readonly isLive: boolean;
  readonly found: Found;
}

/** A member of a user's index entry, with what is known of its session. */
export interface Examined {
  readonly member: Member;
  readonly session: OwnedSession | null;
  /** Whether the session has ended or expired, as its entry says; a member without an entry may be under way. */
  readonly hasEnded: boolean;
  /** Why the headers of the session cannot be read. */
  readonly problem: Error | undefined;
}

/**
 * The members of a user in the index, under each hash that the user's name may have, oldest sign-in first.
 * @param known those under one of the hashes, where they were read already
 */
export async function membersOf(
  context: StoreContext,
  hashes: readonly string[],
  deadline: number,
  known?: { readonly hash: string; readonly members: readonly Member[] },
): Promise<Member[]> {
  const lists = await Promise.all(
    hashes.map((hash) => (hash === known?.hash ? known.members : context.index.members(hash, deadline))),
  );
  // A session that was moved to another hash is a member under both.
  const members = new Map(lists.flat().map((member) => [`${member.place} ${member.handle}`, member]));
  return inOrder([...members.values()]);
}

/**
 * Reads the sessions of some members; a session that got another id by a rotation is found under that id.
 * @param read how a session is read: `findCurrent` where an ended one must not be taken for live
 */
export function examine(
  context: StoreContext,
  hashes: readonly string[],
  members: readonly Member[],
  deadline: number,
  read: "find" | "findCurrent" = "findCurrent",
): Promise<Examined[]> {
  return Promise.all(members.map((member) => examineOne(context, hashes, member, deadline, read)));
}

async function examineOne(
  context: StoreContext,
  hashes: readonly string[],
  member: Member,
  deadline: number,
  read: "find" | "findCurrent",
): Promise<Examined> {
  const { handle, found } = await follow(member.handle, (at) => context.sessions[read](at, deadline));
  const { metadata, isLive, problem, revision } = found;
  const membership = metadata?.membership;
  if (metadata && membership && hashes.includes(membership.userHash)) {
    const { createdAt, expiresAt } = metadata;
    const session = { handle, place: membership.place, createdAt, expiresAt, isLive, found };
    return { member, session, hasEnded: false, problem };
  }
  // A live session that is not theirs may be about to become theirs, as a missing one may be about to begin.
  return { member, session: null, hasEnded: !isLive && revision > 0, problem };
}

/** Of members without a session: those whose session may still be on its way. */
export async function underWay(
  context: StoreContext,
  hashes: readonly string[],
  examined: readonly Examined[],
  deadline: number,
): Promise<ReadonlySet<Examined>> {
  const open = examined.filter(({ session, hasEnded, problem }) => !session && !hasEnded && !problem);
  if (open.length === 0) return new Set();
  // Both times are the server's: no clock of an application decides.
  // All hashes of a user lie in one bucket.
  const bucket = bucketOf(context.buckets, hashes[0] as string);
  const { serverTime } = await bucket.position(deadline);
  const limit = serverTime - context.index.patience;
  return new Set(open.filter(({ member: { addedAt } }) => addedAt === undefined || addedAt > limit));
}

/** How long a session must have expired by the server's clock until no other clock can take it for live, in ms. */
const EXPIRED_FOR_ALL = 3_600_000;

/**
 * Removes members from the index in the background whose session has ended, never came, or has another member. A
 * session that has expired by this process's clock may be live by that of another: it stays until the server has
 * removed it. A member that was added less than a minute before the entry was last written stays: its session may be
 * on its way, also under an id whose session has ended.
 */
export function clean(context: StoreContext, examined: readonly Examined[]): void {
  const stale = examined.filter(({ member, session, problem }) => {
    const isOwn = session?.handle === member.handle && session.place === member.place;
    const isOver = session !== null && session.expiresAt < member.asOf - EXPIRED_FOR_ALL;
    return member.isSettled && (!isOwn || isOver) && !problem;
  });
  context.index.remove(stale.map(({ member }) => member));
}
