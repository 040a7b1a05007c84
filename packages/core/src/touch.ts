import { type Context, deadlineOf, liveSession } from "./context.js";
import { expiryOf, isLive, isTouchTooSoon, lifeOf } from "./expiry.js";
import type { Metadata } from "./record.js";
import { deserialize } from "./serializer.js";
import { StoredRecord } from "./stored-record.js";
import type { SessionRecord, TouchOptions, TouchResult } from "./types.js";
import { ownershipOf, ownersIn } from "./user-index.js";
import type { WriteAnswer } from "./wire/index.js";
import { isOurs, writeSession } from "./write.js";

/** Whether a touch of this record would store anything now, or be skipped as too soon after the last write. */
export function isTouchDue<T extends object>(
  { options }: Context,
  record: SessionRecord<T>,
  { ttl }: TouchOptions,
): boolean {
  const now = Date.now();
  try {
    const life = lifeOf(ttl, options);
    const expiresAt = expiryOf(now, life, record.createdAt, options);
    return !isLive(record, now, options) || !isTouchTooSoon(record.expiresAt, expiresAt, life, options);
  } catch {
    // A life that is not allowed is for the touch to tell of.
    return true;
  }
}

interface UnderWay {
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly result: Promise<TouchResult<object>>;
}

/** Touches under way in each store, by handle. */
const underWay = new WeakMap<Context, Map<string, UnderWay>>();

/**
 * Stores the loaded bytes again under their revision, with a later expiry; never over somebody's write. Of a
 * page's requests that all find it time for a touch, one stores it and the others wait for that one.
 */
export async function touchSession<T extends object>(
  context: Context,
  handle: string,
  given: SessionRecord<T>,
  { ttl }: TouchOptions,
): Promise<TouchResult<T>> {
  const { options } = context;
  const life = lifeOf(ttl, options);
  const record = StoredRecord.of(given, [handle]);
  const { createdAt } = record;
  const now = Date.now();
  const expiresAt = expiryOf(now, life, createdAt, options);
  if (isLive(record, now, options) && isTouchTooSoon(record.expiresAt, expiresAt, life, options)) {
    return { outcome: "skipped", record };
  }
  const touches = underWay.get(context) ?? new Map<string, UnderWay>();
  underWay.set(context, touches);
  const other = touches.get(handle);
  if (other?.createdAt === createdAt && isTouchTooSoon(other.expiresAt, expiresAt, life, options)) {
    const { outcome } = await other.result;
    return outcome === "gone" ? { outcome, record: null } : { outcome: "skipped", record };
  }
  const result = storeTouch(context, handle, record, life);
  const touch = { createdAt, expiresAt, result };
  touches.set(handle, touch);
  try {
    return await result;
  } finally {
    if (touches.get(handle) === touch) touches.delete(handle);
  }
}

async function storeTouch<T extends object>(
  context: Context,
  handle: string,
  record: StoredRecord<T>,
  life: number,
): Promise<TouchResult<T>> {
  const { options, bucket } = context;
  const deadline = deadlineOf(context);
  const value = StoredRecord.valueOf(record);

  for (;;) {
    const now = Date.now();
    const { createdAt, revision } = record;
    const expiresAt = expiryOf(now, life, createdAt, options);
    let answer: WriteAnswer = "conflict";
    let metadata: Metadata = { createdAt, expiresAt, write: "touch" };
    if (isLive(record, now, options)) {
      const before = StoredRecord.ownershipOf(record);
      const owners = before ? [before.owner] : await ownersStored(context, value);
      const ownership = ownershipOf(context, { handle, owners, before, expiresAt }, deadline);
      metadata = { ...metadata, ownership: ownership instanceof Promise ? await ownership : ownership };
      answer = await writeSession(context, { handle, value, metadata, expected: revision }, deadline);
    }
    if (typeof answer === "number") return { outcome: "touched", record: record.renewed(answer, metadata) };

    const entry = await bucket.entries.readFromLeader(context.keyStart + handle, deadline);
    const theirs = liveSession(context, handle, entry);
    // Begun again under the same id is another session.
    if (theirs?.metadata.createdAt !== createdAt) return { outcome: "gone", record: null };
    if (answer === "lost" && isOurs(theirs, value, metadata)) {
      return { outcome: "touched", record: record.renewed(theirs.revision, metadata) };
    }
    // Whoever wrote meanwhile has renewed the life. The record stays what a later save is compared with.
    if (theirs.revision !== revision) return { outcome: "skipped", record };
  }
}

/** Whose session it is by what is stored: what the caller has made of the data since they were loaded is not. */
async function ownersStored(context: Context, value: Uint8Array): Promise<readonly string[]> {
  const { user, serializer } = context.options;
  return user ? ownersIn(context, await deserialize(value, serializer), undefined) : [];
}
