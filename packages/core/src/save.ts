import { setTimeout as sleep } from "node:timers/promises";
import { type Context, deadlineOf, isOurs, liveSession, type StoredSession } from "./context.js";
import { destroySession } from "./destroy.js";
import { SessionStoreError } from "./errors.js";
import { expiryOf, isLive, lifeOf, ttlSeconds } from "./expiry.js";
import { mergeStored } from "./merge-stored.js";
import type { Metadata } from "./record.js";
import { isSame, serialize } from "./serializer.js";
import { StoredRecord } from "./stored-record.js";
import { touchSession } from "./touch.js";
import type { SaveOptions, SaveResult } from "./types.js";
import type { WriteAnswer } from "./wire/index.js";

/** Other writers may be faster this many times in a row. */
const MOST_ATTEMPTS = 100;

/** Random pause before trying again, in ms: up to this for each attempt so far, and up to the longest. */
const PAUSE = 2;
const LONGEST_PAUSE = 40;

/** What a write builds on: the revision that must still be there, and when the session began. */
interface Ground {
  readonly revision: number;
  readonly createdAt: number | undefined;
}

const NOTHING: Ground = { revision: 0, createdAt: undefined };
const GONE = { outcome: "gone", record: null } as const;

/** Stores data on top of the revision that they were loaded with, or as a new session. */
export async function saveSession<T extends object>(
  context: Context,
  handle: string,
  data: T,
  { record: given, ttl, source = data, touchUnchanged = false }: SaveOptions<T>,
): Promise<SaveResult<T>> {
  const { options, bucket } = context;
  const life = lifeOf(ttl, options);
  const deadline = deadlineOf(context);
  const record = given && StoredRecord.of(given, handle);
  if (life <= 0) {
    await destroySession(context, handle);
    return GONE;
  }
  const ours = await serialize(data, options.serializer);
  const base = record && StoredRecord.baseOf(record, source);
  if (record && base && touchUnchanged && isSame(ours, base)) {
    const touched = await touchSession(context, handle, record, { ttl });
    return touched.outcome === "gone" ? GONE : { outcome: "saved", record: touched.record };
  }

  const key = context.keyStart + handle;
  let toStore = { data, value: ours };
  if (record && base && !isSame(base, StoredRecord.valueOf(record))) {
    toStore = await mergeStored(options, toStore, base, StoredRecord.valueOf(record));
  }
  let ground: Ground = record ?? NOTHING;
  let metadata: Metadata | undefined;
  let mayBeDone = false;
  // A record past its time is no ground to write on: somebody may have renewed the session, else it is gone.
  let mayWrite = record === undefined || isLive(record, Date.now(), options);
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    const now = Date.now();
    metadata ??= metadataOf(ground, now);
    if (metadata.expiresAt <= now) return GONE;
    const { value } = toStore;

    let answer: WriteAnswer = "conflict";
    if (mayWrite) {
      const write = { key, value, metadata, expected: ground.revision };
      const seconds = ttlSeconds(metadata.expiresAt, now);
      answer = await bucket.entries.write({ ...write, ttlSeconds: seconds }, deadline);
    }
    if (typeof answer === "number") return stored(answer, metadata);

    mayBeDone ||= answer === "lost";
    const entry = await bucket.entries.readFromLeader(key, deadline);
    const theirs = liveSession(context, entry);
    if (mayBeDone && theirs && isOurs(theirs, value, metadata)) return stored(theirs.revision, metadata);
    if (record && !theirs) return GONE;
    const revision = entry?.revision ?? 0;
    if (revision !== ground.revision || !mayWrite) {
      if (record && base && theirs) toStore = await settle(record, base, theirs);
      ground = { revision, createdAt: theirs?.metadata.createdAt };
      metadata = undefined;
      mayWrite = true;
    }

    const pause = Math.random() * Math.min(LONGEST_PAUSE, (attempt - 1) * PAUSE);
    if (performance.now() + pause >= deadline) break;
    if (pause > 0) await sleep(pause);
  }
  throw new SessionStoreError(
    "ERR_SESSION_CONTENTION",
    "Others kept changing the session while it was saved.",
  );

  function metadataOf({ createdAt }: Ground, now: number): Metadata {
    const created = createdAt ?? now;
    const expiresAt = expiryOf(now, life, created, options);
    return { createdAt: created, expiresAt, write: createdAt === undefined ? "create" : "update" };
  }

  /** What is to be stored now that somebody else has written. */
  async function settle(record: StoredRecord<T>, base: Uint8Array, theirs: StoredSession) {
    // Their write was a touch: there is nothing to settle.
    if (isSame(theirs.value, StoredRecord.valueOf(record)) && isSame(theirs.value, base))
      return { data, value: ours };
    if (options.onConflict === "overwrite") return { data, value: ours };
    if (options.onConflict === "error") {
      throw new SessionStoreError(
        "ERR_SESSION_CONFLICT",
        "The session was changed by others since it was loaded.",
      );
    }
    return mergeStored(options, { data, value: ours }, base, theirs.value);
  }

  function stored(revision: number, metadata: Metadata): SaveResult<T> {
    const isMerged = toStore.value !== ours;
    const held = isMerged ? { value: ours, source } : undefined;
    return {
      outcome: isMerged ? "merged" : "saved",
      record: new StoredRecord({
        handle,
        data: toStore.data,
        value: toStore.value,
        revision,
        metadata,
        held,
      }),
    };
  }
}
