import { type Context, deadlineOf } from "./context.js";
import { isLive } from "./expiry.js";
import { isHandle } from "./key.js";
import { decodeMetadata, HEADER, type Metadata } from "./record.js";
import { leave } from "./user-index.js";
import type { Entry } from "./wire/index.js";
import { removeSession } from "./write.js";

/**
 * Ends a session, whoever else is writing it, also where it has been given another id meanwhile.
 * @param owner where given, the session is left alone unless it is this owner's
 * @returns whether there was a live one
 */
export async function destroySession(context: Context, handle: string, owner?: string): Promise<boolean> {
  const deadline = deadlineOf(context);
  const entry = await context.bucket.entries.readFromLeader(context.keyStart + handle, deadline);
  return destroyEntry(context, handle, entry, deadline, owner);
}

/**
 * As `destroySession`, for an entry that was just read.
 * @param owner where given, the session is left alone unless it is this owner's
 */
export async function destroyEntry(
  context: Context,
  handle: string,
  entry: Entry | null,
  deadline: number,
  owner?: string,
): Promise<boolean> {
  const { entries } = context.bucket;
  const key = context.keyStart + handle;
  let wasLive = false;
  let current = entry;
  for (let contended = false; current && !current.deleted; ) {
    const now = Date.now();
    const stored = metadataOf(context, current, now);
    if (owner !== undefined && stored.ownership?.owner !== owner) return wasLive;
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
      return wasLive;
    }
    contended = answer === "conflict";
    current = await entries.readFromLeader(key, deadline);
  }
  const movedTo = current?.header(HEADER.movedTo);
  return isHandle(movedTo) ? destroySession(context, movedTo, owner) : wasLive;
}

/** What cannot be read can still be destroyed; its life is then taken to be the longest there is. */
function metadataOf(context: Context, entry: Entry, now: number): Metadata {
  try {
    return decodeMetadata(entry.header);
  } catch {
    return { createdAt: now, expiresAt: now + context.options.maxTtl, write: "update" };
  }
}
