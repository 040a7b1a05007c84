import { type Context, deadlineOf } from "./context.js";
import { SessionStoreError } from "./errors.js";
import { isLive } from "./expiry.js";
import { isHandle } from "./key.js";
import { moveTarget } from "./move.js";
import { decodeMetadata, HEADER, type Metadata } from "./record.js";
import { leave } from "./user-index.js";
import type { Entry } from "./wire/index.js";
import { removeSession } from "./write.js";

/**
 * Ends a session, whoever else is writing it, also where it has been given another id or name meanwhile.
 * @param owners where given, the session is left alone unless it is one of these owners'
 * @returns whether there was a live one
 */
export async function destroySession(
  context: Context,
  handle: string,
  owners?: readonly string[],
): Promise<boolean> {
  return (await destroyWhereItIs(context, handle, owners)).wasLive;
}

/** What ending a session has come to. */
interface Ended {
  readonly wasLive: boolean;
  /** Whether a marker was put there whatever there was. */
  readonly forced: boolean;
}

export async function destroyWhereItIs(
  context: Context,
  handle: string,
  owners?: readonly string[],
): Promise<Ended> {
  const deadline = deadlineOf(context);
  const met = new Set<number>();
  let wasLive = false;
  let forced = false;
  for (let current: string | undefined = handle; current; ) {
    const entry = await context.bucket.entries.readFromLeader(context.keyStart + current, deadline);
    const { left, ...ended } = await endEntry(context, current, entry, deadline, owners);
    wasLive ||= ended.wasLive;
    forced ||= ended.forced;
    // Markers could have been made to lead in a circle.
    if (left && met.has(left.revision)) break;
    if (left) met.add(left.revision);
    current = await targetOf(context, current, left, deadline);
  }
  return { wasLive, forced };
}

/** Puts a marker in a place, whatever there is: no session that is on its way there comes to be. */
export async function forceMarker(context: Context, handle: string): Promise<void> {
  const now = Date.now();
  const metadata: Metadata = { createdAt: now, expiresAt: now + context.options.maxTtl, write: "destroy" };
  const removal = { handle, metadata, expected: undefined };
  while ((await removeSession(context, removal, deadlineOf(context))) === "lost");
}

/** As `destroySession`, for an entry that was just read. */
export async function destroyEntry(context: Context, handle: string, entry: Entry): Promise<void> {
  const deadline = deadlineOf(context);
  const { left } = await endEntry(context, handle, entry, deadline);
  const target = await targetOf(context, handle, left, deadline);
  if (target) await destroySession(context, target);
}

interface Left extends Ended {
  /** What was found in its place: a marker that was there already, or a session that is to be left alone. */
  readonly left: Entry | null;
}

/** Ends the session in an entry that was just read; one that was moved is not followed. */
export async function endEntry(
  context: Context,
  handle: string,
  entry: Entry | null,
  deadline: number,
  owners?: readonly string[],
): Promise<Left> {
  const { entries } = context.bucket;
  const key = context.keyStart + handle;
  let wasLive = false;
  let contended = false;
  let current = entry;
  while (current && !current.deleted) {
    const now = Date.now();
    const stored = metadataOf(context, current, now);
    if (owners && !owners.includes(stored.ownership?.owner ?? "")) break;
    wasLive ||= isLive(stored, now, context.options);
    // Whoever keeps renewing the session can be outrun: a marker that asks for no revision always lands. It
    // stays as long as any life they may have given it.
    const metadata: Metadata = {
      ...stored,
      expiresAt: contended ? now + context.options.maxTtl : stored.expiresAt,
      write: "destroy",
    };
    const expected = contended ? undefined : current.revision;
    const answer = await removeSession(context, { handle, metadata, expected }, deadline);
    if (typeof answer === "number") {
      leave(context, handle, stored.ownership);
      return { wasLive, left: null, forced: contended };
    }
    contended = answer === "conflict";
    current = await entries.readFromLeader(key, deadline);
  }
  return { wasLive, left: current, forced: false };
}

/** Where a session was moved to; a move that cannot be brought to its end has led nowhere. */
async function targetOf(
  context: Context,
  handle: string,
  left: Entry | null,
  deadline: number,
): Promise<string | undefined> {
  try {
    const given = left?.deleted ? left.header(HEADER.movedTo) : "";
    return isHandle(given) ? given : await moveTarget(context, handle, left, deadline);
  } catch (error) {
    if (!(error instanceof SessionStoreError) || error.code !== "ERR_SESSION_CORRUPT") throw error;
    return undefined;
  }
}

/** What cannot be read can still be destroyed; its life is then taken to be the longest there is. */
function metadataOf(context: Context, entry: Entry, now: number): Metadata {
  try {
    return decodeMetadata(entry.header);
  } catch {
    return { createdAt: now, expiresAt: now + context.options.maxTtl, write: "update" };
  }
}
