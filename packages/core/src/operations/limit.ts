import type { StoreContext } from "../entries/store-context.js";
import type { Member } from "../entries/user-index.js";
import { SessionStoreError } from "../errors.js";
import { limits } from "../util/channels.js";
import { destroySession } from "./destroy.js";
import { BATCH, clean, examine, membersOf, underWay } from "./user-sessions.js";

/** The user that a session is to belong to: the hash to store, and all hashes that the name may have in the index. */
export interface Owner {
  readonly hash: string;
  readonly hashes: readonly string[];
}

/** A session that has become a user's: where it stands in the index, and the index as it was then. */
export interface SignIn {
  readonly handle: string;
  readonly place: number;
  readonly members: readonly Member[];
  readonly revision: number;
}

/** How many members are looked at for leftovers at each sign-in without a limit, once a user has a few. */
const SAMPLE = 2;
const SAMPLE_FROM = 16;

/**
 * Lets a sign-in happen, or not, before its session is stored. Live sessions and sign-ins that are under way count if
 * they were added to the index earlier: the index entry is changed under its revision, so all sign-ins have one order.
 * @throws `ERR_SESSION_LIMIT`
 */
export async function admit(
  context: StoreContext,
  user: Owner,
  { handle, place, members }: SignIn,
  deadline: number,
): Promise<void> {
  const { maxSessionsPerUser: limit, onLimit } = context.options;
  if (limit === undefined || onLimit !== "refuse") return;
  const all = await membersOf(context, user.hashes, deadline, { hash: user.hash, members });
  const earlier = all.filter((member) => member.place < place && member.handle !== handle);
  if (earlier.length < limit) return;
  const taken = new Set<number>();
  for (let next = earlier.length; next > 0 && taken.size < limit; ) {
    const batch = earlier.slice(Math.max(0, next - Math.max(1, Math.min(BATCH, limit - taken.size))), next);
    const examined = await examine(context, user.hashes, batch, deadline);
    const coming = await underWay(context, user.hashes, examined, deadline);
    for (const one of examined) {
      if (one.session?.isLive || one.problem || coming.has(one))
        taken.add(one.session?.place ?? one.member.place);
    }
    clean(context, examined);
    next -= batch.length;
  }
  if (taken.size < limit) return;
  const { bucket } = context.options;
  if (limits.hasSubscribers) limits.publish({ bucket, handle, action: "refused", limit });
  throw new SessionStoreError(
    "ERR_SESSION_LIMIT",
    `The user has as many sessions as \`maxSessionsPerUser\` allows (${limit}).`,
  );
}

/**
 * Ends the sessions of a user that are too many, oldest sign-in first, once the session of a sign-in is stored. Every
 * sign-in does so, and each sees all sessions that were stored before its own. So the one that is stored last leaves
 * as many sessions as are allowed, whatever others did meanwhile, and a sign-in that fails ends none.
 *
 * @param isLast whether the session was stored right after it was added to the index: no other sign-in came between
 */
export async function endOldest(
  context: StoreContext,
  user: Owner,
  own: SignIn,
  isLast: boolean,
  deadline: number,
): Promise<void> {
  const { maxSessionsPerUser: limit, onLimit } = context.options;
  if (limit === undefined) return sample(context, user, own.members);
  if (onLimit !== "end-oldest") return;
  const end = async (until: number) => {
    const known = isLast ? { hash: user.hash, members: own.members } : undefined;
    const members = await membersOf(context, user.hashes, until, known);
    const surplus = await beyond(context, user, own, members, limit, until);
    const all = surplus.members;
    await endAll(context, user, { ...surplus, members: all.splice(-BATCH) }, until);
    // The rest is there when a limit was set for a user with many sessions.
    if (all.length > 0) endInBackground(context, user, surplus);
  };
  try {
    await end(deadline);
  } catch {
    // The session is stored; an outage must not make that look like a failure.
    context.background(end);
  }
}

/** Members beyond the newest sessions that are stored, oldest first, and the places of those sessions. */
interface Surplus {
  readonly members: Member[];
  readonly kept: ReadonlySet<number>;
}

async function beyond(
  context: StoreContext,
  { hashes }: Owner,
  own: SignIn,
  members: readonly Member[],
  limit: number,
  deadline: number,
): Promise<Surplus> {
  /** Places that are taken: a session with two ids, in the middle of a rotation, has one. */
  const kept = new Set<number>();
  let next = members.length;
  while (next > 0 && next + kept.size > limit && kept.size < limit) {
    const batch = members.slice(Math.max(0, next - Math.min(BATCH, limit - kept.size)), next);
    next -= batch.length;
    const others = batch.filter(({ place }) => place !== own.place);
    if (others.length < batch.length) kept.add(own.place);
    const examined = await examine(context, hashes, others, deadline);
    for (const { session, problem, member } of examined) {
      if (session?.isLive || problem) kept.add(session?.place ?? member.place);
    }
    clean(context, examined);
  }
  const rest = next + kept.size <= limit ? [] : members.slice(0, next);
  return { members: rest.filter(({ place }) => !kept.has(place)), kept };
}

/** Ends the sessions of members, which may have ended by themselves, or have another place than a failed sign-in left. */
async function endAll(
  context: StoreContext,
  { hashes }: Owner,
  { members, kept }: Surplus,
  deadline: number,
): Promise<void> {
  const end = async (member: Member, n: number) => {
    let session: Pick<Member, "handle" | "place"> | null = member;
    const known = context.sessions.recall(member.handle)?.metadata.membership;
    // Of one that was beyond the limit before, what this process recalls is out of date: it has ended.
    const isRecalled = n === members.length - 1 && known?.place === member.place;
    if (!isRecalled) {
      const [examined] = await examine(context, hashes, [member], deadline);
      session = examined?.session ?? null;
    }
    if (!session || kept.has(session.place)) return;
    const hasEnded = await destroySession(context, session.handle, { hashes }, deadline);
    const { bucket, maxSessionsPerUser: limit = 0 } = context.options;
    if (hasEnded && limits.hasSubscribers) {
      limits.publish({ bucket, handle: session.handle, action: "ended", limit });
    }
  };
  await Promise.all(members.map(end));
}

/** Ends many sessions, newest first, until the store is closed or an outage comes: the next sign-in goes on. */
function endInBackground(context: StoreContext, user: Owner, { members, kept }: Surplus): void {
  const { ending } = context;
  if (ending.has(user.hash)) return;
  ending.add(user.hash);
  const next = () => {
    if (members.length === 0 || context.isClosing()) {
      ending.delete(user.hash);
      return;
    }
    context.background(async (deadline) => {
      try {
        await endAll(context, user, { members: members.splice(-BATCH), kept }, deadline);
        next();
      } catch {
        ending.delete(user.hash);
      }
    });
  };
  next();
}

/** Without a limit the ends of sessions that nobody lists are noticed by looking at a few members at each sign-in. */
function sample(context: StoreContext, { hashes }: Owner, members: readonly Member[]): void {
  if (members.length < SAMPLE_FROM) return;
  const start = Math.floor(Math.random() * (members.length - SAMPLE));
  context.background(async (deadline) => {
    clean(context, await examine(context, hashes, members.slice(start, start + SAMPLE), deadline));
  });
}
