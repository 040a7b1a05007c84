import { NOTHING_FOUND, writtenAt } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import type { Member } from "../entries/user-index.js";
import type { UserSession } from "../types.js";
import { destroySession } from "./destroy.js";
import { recordOf } from "./record.js";
import { BATCH, clean, examine, membersOf, type OwnedSession } from "./user-sessions.js";

/** @throws TypeError without the option `user` */
export function requireUsers({ options }: StoreContext): void {
  if (options.user) return;
  throw new TypeError("Expected the store to have the option `user`, which names the user of a session");
}

/**
 * The live sessions of a user, newest first, in batches. Of many, only the order is held in memory.
 * @param deadline makes the deadline of each batch
 * @throws at the end, after all that can be read, where a session of the user cannot be read
 */
export async function* listByUser<T extends object>(
  context: StoreContext,
  user: string,
  deadline: () => number,
): AsyncGenerator<UserSession<T>[]> {
  let problem: unknown;
  const noteProblem = (found: unknown) => {
    problem ??= found;
  };
  for await (const batch of newestFirst(context, user, deadline, noteProblem)) {
    const records: UserSession<T>[] = [];
    for (const { handle, found } of batch) {
      try {
        const session = context.sessions.sessionIn(handle, found);
        const lastWriteAt = writtenAt(found);
        if (!session) continue;
        records.push(Object.assign(await recordOf<T>(context, handle, session, deadline()), { lastWriteAt }));
      } catch (error) {
        noteProblem(error);
      }
    }
    yield records;
  }
  if (problem) throw problem;
}

async function* newestFirst(
  context: StoreContext,
  user: string,
  deadline: () => number,
  noteProblem: (problem: Error | undefined) => void,
): AsyncGenerator<OwnedSession[]> {
  const hashes = context.users.all(user);
  const members = await membersOf(context, hashes, deadline());
  const met = new Set<string>();
  let all: (OwnedSession & { readonly member: Member })[] = [];
  for (let next = 0; next < members.length; next += BATCH) {
    const batch = await examine(context, hashes, members.slice(next, next + BATCH), deadline(), "find");
    clean(context, batch);
    for (const { session, member, problem } of batch) {
      noteProblem(problem);
      if (!session?.isLive || met.has(session.handle)) continue;
      met.add(session.handle);
      // Of more than one batch the entries are not kept, but read again.
      all.push({ ...session, member, found: members.length > BATCH ? NOTHING_FOUND : session.found });
    }
  }
  all = all.sort((one, other) => other.createdAt - one.createdAt);
  if (members.length <= BATCH) {
    yield all;
    return;
  }
  for (let next = 0; next < all.length; next += BATCH) {
    const again = all.slice(next, next + BATCH).map(({ member }) => member);
    const examined = await examine(context, hashes, again, deadline(), "find");
    yield examined.flatMap(({ session }) => session ?? []);
  }
}

/**
 * Ends a user's sessions, also those that begin or get another id meanwhile, but for one.
 * @param except the handle of the session that stays
 * @param deadline makes the deadline of each batch: however many there are, all are ended
 * @returns how many it ended
 */
export async function destroyByUser(
  context: StoreContext,
  user: string,
  except: string | undefined,
  deadline: () => number,
): Promise<number> {
  const hashes = context.users.all(user);
  const done = new Set<string>();
  /** The session that stays may be given another id meanwhile; its place among the user's sessions stays the same. */
  const kept = new Set<number>();
  let count = 0;
  for (;;) {
    const members = await membersOf(context, hashes, deadline());
    for (const { handle, place } of members) if (handle === except) kept.add(place);
    const open = members.filter(({ handle }) => !done.has(handle));
    let found = 0;
    for (let next = 0; next < open.length; next += BATCH) {
      const until = deadline();
      const batch = await examine(context, hashes, open.slice(next, next + BATCH), until);
      clean(context, batch);
      const sessions = batch.flatMap(({ session }) => session ?? []);
      const others = sessions.filter(({ handle, place }) => handle !== except && !kept.has(place));
      const results = await Promise.all(
        others.map(({ handle }) => destroySession(context, handle, { hashes }, until)),
      );
      // An entry whose headers another client has destroyed says nothing, but the index says whose it is.
      const unreadable = batch.filter(({ problem, member }) => problem && member.handle !== except);
      for (const { member } of unreadable) {
        results.push(await destroySession(context, member.handle, undefined, until));
      }
      for (const wasLive of results) if (wasLive) count++;
      for (const { handle } of others) done.add(handle);
      for (const { member, session } of batch) if (!session) done.add(member.handle);
      found += others.length;
    }
    if (found === 0) return count;
  }
}
