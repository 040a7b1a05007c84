import { type Context, deadlineOf } from "./context.js";
import { destroySession } from "./destroy.js";
import { SessionStoreError } from "./errors.js";
import { HEADER, type Ownership } from "./record.js";
import { indexKey, withdraw } from "./user-index.js";
import { BATCH, type Indexed, indexedSessions } from "./user-sessions.js";

/** A sign-in that is under way holds its place for this many timeouts; then it counts as given up. */
const PLACE_HELD = 3;

/**
 * Ends the sessions of a user that are too many, those first that have been theirs longest. Whoever signs in
 * looks after their own session is stored, so the last one to look sees all of them; and all agree on who is
 * oldest, for the server has numbered them. So however many sign in at a time, in whatever processes, exactly as
 * many stay as are allowed.
 */
export async function endOldest(context: Context, owners: readonly string[]): Promise<void> {
  const { maxSessionsPerUser: most, onLimit } = context.options;
  if (most === undefined || onLimit !== "end-oldest") return;
  for (let haveMoved = true; haveMoved; ) {
    const tooMany = await beyond(context, owners, most);
    haveMoved = false;
    await inBatches(tooMany, async (handle) => {
      // Was it ended by others, or given another id?
      if (!(await destroySession(context, handle, owners))) haveMoved = true;
    });
  }
}

/** The sessions of a user beyond so many, which have been theirs longest. */
async function beyond(context: Context, owners: readonly string[], most: number): Promise<string[]> {
  const sessions: { readonly handle: string; readonly since: number }[] = [];
  for await (const batch of indexedSessions(context, owners, "leader")) {
    for (const { handle, session } of batch) {
      if (session) sessions.push({ handle, since: session.ownership.since });
    }
  }
  // One that is being given another id is there twice, and has been theirs equally long.
  const places = [...new Set(sessions.map(({ since }) => since))].sort((one, other) => one - other);
  const ended = new Set(places.slice(0, Math.max(0, places.length - most)));
  return sessions.filter(({ since }) => ended.has(since)).map(({ handle }) => handle);
}

/**
 * Lets a session in, or not, before it is stored. Its index entry is there already and holds its place in the
 * order that the server has given to all: there must be fewer live sessions, and sign-ins under way that were
 * entered before, than are allowed.
 *
 * @throws `ERR_SESSION_LIMIT`
 */
export async function admit(
  context: Context,
  handle: string,
  ownership: Ownership,
  owners: readonly string[],
): Promise<void> {
  const { maxSessionsPerUser: most, onLimit } = context.options;
  if (most === undefined || onLimit !== "refuse") return;
  const places = new Set<number | undefined>();
  const unclear: Indexed[] = [];
  for await (const batch of indexedSessions(context, owners, "leader")) {
    for (const other of batch) {
      if (other.handle === handle) continue;
      if (other.session) places.add(other.session.ownership.since);
      else unclear.push(other);
    }
  }
  await inBatches(unclear, async (other) => places.add(await placeUnderWay(context, other, ownership)));
  for (const own of [undefined, ownership.since]) places.delete(own);
  if (places.size < most) return;
  withdraw(context, handle, ownership);
  throw new SessionStoreError(
    "ERR_SESSION_LIMIT",
    `The user has as many sessions as \`maxSessionsPerUser\` allows (${most}).`,
  );
}

/** The place of an index entry without a session, if it is a sign-in that was entered before ours and may still be stored. */
async function placeUnderWay(
  context: Context,
  { owner, handle }: Indexed,
  ours: Ownership,
): Promise<number | undefined> {
  const key = indexKey(context, owner, handle);
  const entry = await context.bucket.entries.readFromLeader(key, deadlineOf(context));
  if (!entry || entry.deleted || entry.revision > ours.indexRevision) return undefined;
  if (Date.now() - entry.writtenAt() >= PLACE_HELD * context.options.timeout) return undefined;
  return Number(entry.header(HEADER.index)) || entry.revision;
}

async function inBatches<T>(items: T[], task: (item: T) => Promise<unknown>): Promise<void> {
  for (let next = 0; next < items.length; next += BATCH) {
    await Promise.all(items.slice(next, next + BATCH).map(task));
  }
}
