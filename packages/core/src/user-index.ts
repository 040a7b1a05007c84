import { type Context, deadlineOf, liveSession } from "./context.js";
import { ttlSeconds } from "./expiry.js";
import { FORMAT, HEADER, type Ownership } from "./record.js";
import type { Header } from "./wire/index.js";

const EMPTY = new Uint8Array(0);

/** Longest a marker of a removed index entry stays, in s: nobody needs it, servers before 2.11 ignore it. */
const MARKER_SECONDS = 60;

/**
 * An index entry is made to last for this many lives of its session, so that it is seldom renewed; but no longer
 * than the bucket keeps anything.
 */
const LIVES = 2;

/** A session that is about to be written. */
export interface Owned {
  readonly handle: string;
  /** The names of its user, the newest first; none where it is nobody's. */
  readonly owners: readonly string[];
  /** As it is stored now. */
  readonly before?: Ownership | undefined;
  /** Since when it is theirs, where that was under another id; see {@link Ownership}. */
  readonly since?: number | undefined;
  readonly expiresAt: number;
}

/**
 * The ownership to store with a session. Its index entry is written here, before the session that it points to,
 * where there is none yet that lasts as long as the session; else the answer comes at once.
 */
export function ownershipOf(
  context: Context,
  { handle, owners, before, since, expiresAt }: Owned,
  deadline: number,
): Ownership | undefined | Promise<Ownership> {
  const [owner] = owners;
  if (owner === undefined) return undefined;
  const kept = before && owners.includes(before.owner) ? before : undefined;
  if (kept?.owner === owner && kept.listedUntil >= expiresAt) return kept;
  return enter(context, { handle, owner, since: kept?.since ?? since, expiresAt }, deadline);
}

/**
 * The names of the user whose session these data are, the newest first. A store that was given no `user` leaves the owner as it is: another process may
 * know better.
 *
 * @throws TypeError when `user` returns anything but a non-empty string or `undefined`
 */
export function ownersIn(context: Context, data: object, before: Ownership | undefined): readonly string[] {
  const { user } = context.options;
  if (!user) return before ? [before.owner] : [];
  const name: unknown = user(data);
  if (name === undefined) return [];
  if (typeof name !== "string" || name === "") {
    const got = name === "" ? "an empty one" : name === null ? "null" : typeof name;
    throw new TypeError(`Expected \`user\` to return a non-empty string or undefined, got ${got}`);
  }
  return context.names.ownersOf(name);
}

interface Entry {
  readonly handle: string;
  readonly owner: string;
  readonly since: number | undefined;
  readonly expiresAt: number;
}

async function enter(
  context: Context,
  { handle, owner, since, expiresAt }: Entry,
  deadline: number,
): Promise<Ownership> {
  const { entries, ttls, maxAge } = context.bucket;
  const now = Date.now();
  // Without TTLs per message it lasts as long as the bucket keeps anything.
  const wanted = ttls ? now + LIVES * Math.max(0, expiresAt - now) : Number.POSITIVE_INFINITY;
  const listedUntil = Math.floor(Math.min(wanted, now + maxAge, Number.MAX_SAFE_INTEGER));
  const headers: Header[] = [
    [HEADER.format, String(FORMAT)],
    [HEADER.created, String(now)],
    [HEADER.expires, String(listedUntil)],
  ];
  if (since !== undefined) headers.push([HEADER.index, String(since)]);
  const key = indexKey(context, owner, handle);
  for (;;) {
    const write = {
      key,
      value: EMPTY,
      headers,
      expected: undefined,
      ttlSeconds: ttlSeconds(listedUntil, now),
    };
    const answer = await entries.write(write, deadline);
    // What may have been written may be written again.
    if (typeof answer === "number") {
      return { owner, since: since ?? answer, listedUntil, indexRevision: answer };
    }
  }
}

/**
 * Removes a session's index entry, unless somebody has written it anew. A stale one does no harm, so nobody
 * waits for this.
 */
export function leave(context: Context, handle: string, ownership: Ownership | undefined): void {
  if (!ownership) return;
  const { owner, indexRevision } = ownership;
  context.later(() => removeIndexEntry(context, indexKey(context, owner, handle), indexRevision));
}

/** As `leave`, for an entry that was written for a session which was not stored after all. */
export function withdraw(context: Context, handle: string, ownership: Ownership | undefined): void {
  if (!ownership) return;
  const { owner, indexRevision } = ownership;
  context.later(async () => {
    await removeIndexEntry(context, indexKey(context, owner, handle), indexRevision);
    await putRight(context, owner, handle);
  });
}

/**
 * Enters a session that is this owner's and is not in their index. Two requests of a session may sign in at a time,
 * and the one that fails takes out what the other relies on. Each looks here when it is done, so the later one
 * finds it.
 */
export async function putRight(context: Context, owner: string, handle: string): Promise<void> {
  const { entries } = context.bucket;
  const deadline = deadlineOf(context);
  const entry = await entries.readFromLeader(indexKey(context, owner, handle), deadline);
  if (entry && !entry.deleted) return;
  const stored = await entries.readFromLeader(context.keyStart + handle, deadline);
  const session = liveSession(context, handle, stored);
  const ownership = session?.metadata.ownership;
  if (!session || ownership?.owner !== owner) return;
  const { since } = ownership;
  await enter(context, { handle, owner, since, expiresAt: session.metadata.expiresAt }, deadline);
}

export async function removeIndexEntry(context: Context, key: string, revision: number): Promise<void> {
  const headers: Header[] = [[HEADER.format, String(FORMAT)]];
  const removal = { key, headers, expected: revision, ttlSeconds: MARKER_SECONDS };
  await context.bucket.entries.remove(removal, deadlineOf(context));
}

export function indexKey(context: Context, owner: string, handle: string): string {
  return `${context.indexStart}${owner}.${handle}`;
}
