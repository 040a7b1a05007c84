import { setTimeout as sleep } from "node:timers/promises";
import { contention, heldUp, inLine, isContended } from "./contention.js";
import { type Context, deadlineOf } from "./context.js";
import { destroySession } from "./destroy.js";
import { lifeOf } from "./expiry.js";
import { SaveAttempt } from "./save-attempt.js";
import { isSame, serialize } from "./serializer.js";
import { StoredRecord } from "./stored-record.js";
import { touchSession } from "./touch.js";
import type { SaveOptions, SaveResult } from "./types.js";

/** Writers in other processes may be faster this many times in a row. */
const MOST_ATTEMPTS = 200;

/** Where others have written fewer times than this, the time went by in waiting for the bucket. */
const FEW_CHANGES = 3;

/** Longest pause between two tries, in ms: longer, and those who need none between two saves would take all. */
const LONGEST_PAUSE = 8;

const GONE = { outcome: "gone", record: null } as const;

/** Stores data on top of the revision that they were loaded with, or as a new session. */
export async function saveSession<T extends object>(
  context: Context,
  handle: string,
  data: T,
  { record: given, ttl, source = data, touchUnchanged = false }: SaveOptions<T>,
): Promise<SaveResult<T>> {
  const { options } = context;
  const lifeFor = (stored: T) => lifeOf(typeof ttl === "function" ? ttl(stored) : ttl, options);
  const deadline = deadlineOf(context);
  const record = given && StoredRecord.of(given, [handle]);
  if (lifeFor(data) <= 0) {
    await destroySession(context, handle);
    return GONE;
  }
  const serialised = serialize(data, options.serializer);
  const value = serialised instanceof Uint8Array ? serialised : await serialised;
  if (record && touchUnchanged && isSame(value, StoredRecord.baseOf(record, source))) {
    const touched = await touchSession(context, handle, record, { ttl: lifeFor(record.data) });
    return touched.outcome === "gone" ? GONE : { outcome: "saved", record: touched.record };
  }

  const attempt = new SaveAttempt(context, { handle, data, value, source, record, lifeFor, deadline });
  const contended = `${options.bucket}/${context.keyStart}${handle}`;
  if (isContended(contended)) attempt.expectConflict();
  else {
    const result = await attempt.try();
    if (result) return result;
  }
  return inLine(contended, deadline, (answered) => saveAgain(attempt, deadline, options.timeout, answered));
}

/** Tries until the save lands, after a conflict. */
async function saveAgain<T extends object>(
  attempt: SaveAttempt<T>,
  deadline: number,
  timeout: number,
  answered: () => void,
): Promise<SaveResult<T>> {
  // Who was before us in the line has written since we looked.
  attempt.expectConflict();
  for (let count = 1; count <= MOST_ATTEMPTS; count++) {
    const { changes } = attempt;
    const result = await attempt.try();
    if (result || attempt.changes > changes) answered();
    if (result) return result;
    const left = deadline - performance.now();
    if (left < timeout / 20) break;
    if (count > 1) await sleep(pauseAfter(count, left / timeout));
  }
  throw attempt.hasLostAnswer || attempt.changes < FEW_CHANGES ? heldUp() : contention();
}

/**
 * How long to leave the field to other processes, in ms: at random up to twice as long each time. The smaller the
 * share of the time that is left, the less is waited: who has waited long goes before who has just come.
 */
function pauseAfter(count: number, share: number): number {
  return Math.random() * Math.min(2 ** count, LONGEST_PAUSE * share);
}
