import { type Context, deadlineOf } from "./context.js";
import { isLive, ttlSeconds } from "./expiry.js";
import { decodeMetadata, type Metadata } from "./record.js";
import type { Entry } from "./wire/index.js";

/**
 * How much longer than the session a delete marker lives, in s. After an unclean stop a server may show an
 * overwritten value again once the marker is gone; by then the value's own time must be over.
 */
const MARKER_SLACK = 60;

/** Ends a session, whoever else is writing it. @returns whether there was a live one */
export async function destroySession(context: Context, handle: string): Promise<boolean> {
  const deadline = deadlineOf(context);
  const entry = await context.bucket.entries.readFromLeader(context.keyStart + handle, deadline);
  return destroyEntry(context, handle, entry, deadline);
}

/** As `destroySession`, for an entry that was just read. */
export async function destroyEntry(
  context: Context,
  handle: string,
  entry: Entry | null,
  deadline: number,
): Promise<boolean> {
  const { entries } = context.bucket;
  const key = context.keyStart + handle;
  let wasLive = false;
  for (let current = entry, contended = false; current && !current.deleted; ) {
    const now = Date.now();
    const stored = metadataOf(context, current, now);
    wasLive ||= isLive(stored, now, context.options);
    // Whoever keeps renewing the session can be outrun: a marker that asks for no revision always lands. It
    // stays as long as any life they may have given it.
    const metadata: Metadata = {
      createdAt: stored.createdAt,
      expiresAt: contended ? now + context.options.maxTtl : stored.expiresAt,
      write: "destroy",
    };
    const expected = contended ? undefined : current.revision;
    const life = ttlSeconds(metadata.expiresAt, now) + MARKER_SLACK;
    const answer = await entries.remove({ key, metadata, expected, ttlSeconds: life }, deadline);
    if (typeof answer === "number") return wasLive;
    contended = answer === "conflict";
    current = await entries.readFromLeader(key, deadline);
  }
  return wasLive;
}

/** What cannot be read can still be destroyed; its life is then taken to be the longest there is. */
function metadataOf(context: Context, entry: Entry, now: number): Metadata {
  try {
    return decodeMetadata(entry.header);
  } catch {
    return { createdAt: now, expiresAt: now + context.options.maxTtl, write: "update" };
  }
}
