import { type Context, deadlineOf, isOurs, liveSession } from "./context.js";
import { expiryOf, isLive, isTouchTooSoon, lifeOf, ttlSeconds } from "./expiry.js";
import type { Metadata } from "./record.js";
import { StoredRecord } from "./stored-record.js";
import type { SessionRecord, TouchOptions, TouchResult } from "./types.js";
import type { WriteAnswer } from "./wire/index.js";

/** Stores the loaded bytes again under their revision, with a later expiry; never over somebody's write. */
export async function touchSession<T extends object>(
  context: Context,
  handle: string,
  given: SessionRecord<T>,
  { ttl }: TouchOptions,
): Promise<TouchResult<T>> {
  const { options, bucket } = context;
  const life = lifeOf(ttl, options);
  const deadline = deadlineOf(context);
  const record = StoredRecord.of(given, handle);
  const value = StoredRecord.valueOf(record);
  const key = context.keyStart + handle;

  for (;;) {
    const now = Date.now();
    const expiresAt = expiryOf(now, life, record.createdAt, options);
    let answer: WriteAnswer = "conflict";
    const metadata: Metadata = { createdAt: record.createdAt, expiresAt, write: "touch" };
    if (isLive(record, now, options)) {
      if (isTouchTooSoon(record.expiresAt, expiresAt, life, options)) return { outcome: "skipped", record };
      const write = {
        key,
        value,
        metadata,
        expected: record.revision,
        ttlSeconds: ttlSeconds(expiresAt, now),
      };
      answer = await bucket.entries.write(write, deadline);
    }
    if (typeof answer === "number") return { outcome: "touched", record: record.renewed(answer, metadata) };

    const theirs = liveSession(context, await bucket.entries.readFromLeader(key, deadline));
    // Begun again under the same id is another session.
    if (theirs?.metadata.createdAt !== record.createdAt) return { outcome: "gone", record: null };
    if (answer === "lost" && isOurs(theirs, value, metadata)) {
      return { outcome: "touched", record: record.renewed(theirs.revision, metadata) };
    }
    // Whoever wrote meanwhile has renewed the life. The record stays what a later save is compared with.
    if (theirs.revision !== record.revision) return { outcome: "skipped", record };
  }
}
