import { setTimeout as sleep } from "node:timers/promises";
import { type Context, deadlineOf, isOurs, liveSession } from "./context.js";
import { destroySession } from "./destroy.js";
import { SessionStoreError } from "./errors.js";
import { expiryOf, isLive, lifeOf, ttlSeconds } from "./expiry.js";
import type { Metadata } from "./record.js";
import { serialize } from "./serializer.js";
import { StoredRecord } from "./stored-record.js";
import { touchSession } from "./touch.js";
import type { SaveOptions, SaveResult } from "./types.js";
import type { WriteAnswer } from "./wire/index.js";

/** Other writers may be faster this many times in a row. */
const MOST_ATTEMPTS = 30;

/** Random pause before trying again after a conflict, in ms for each attempt so far. */
const CONFLICT_PAUSE = 2;

/** What a write builds on: the revision that must still be there, and when the session began. */
interface Base {
  readonly revision: number;
  readonly createdAt: number | undefined;
}

const NOTHING: Base = { revision: 0, createdAt: undefined };

/** Stores data on top of the revision that they were loaded with, or as a new session. */
export async function saveSession<T extends object>(
  context: Context,
  handle: string,
  data: T,
  { record: given, ttl, touchUnchanged = false }: SaveOptions<T>,
): Promise<SaveResult<T>> {
  const { options, bucket } = context;
  const life = lifeOf(ttl, options);
  const deadline = deadlineOf(context);
  const record = given && StoredRecord.of(given, handle);
  if (life <= 0) {
    await destroySession(context, handle);
    return GONE;
  }
  const value = await serialize(data, options.serializer);
  if (touchUnchanged && record && Buffer.compare(value, StoredRecord.valueOf(record)) === 0) {
    const touched = await touchSession(context, handle, record, { ttl });
    return touched.outcome === "gone" ? GONE : { outcome: "saved", record: touched.record };
  }
  const key = context.keyStart + handle;

  let base: Base = record ?? NOTHING;
  // A record past its time is no ground to write on: somebody may have renewed the session, else it is gone.
  let stale = record !== undefined && !isLive(record, Date.now(), options);
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    const now = Date.now();
    const createdAt = base.createdAt ?? now;
    const expiresAt = expiryOf(now, life, createdAt, options);
    if (expiresAt <= now) return GONE;
    const metadata: Metadata = {
      createdAt,
      expiresAt,
      write: base.createdAt === undefined ? "create" : "update",
    };

    let answer: WriteAnswer = "conflict";
    if (!stale) {
      const write = { key, value, metadata, expected: base.revision, ttlSeconds: ttlSeconds(expiresAt, now) };
      answer = await bucket.entries.write(write, deadline);
    }
    if (typeof answer === "number") return saved(handle, data, answer, metadata, value);

    const entry = await bucket.entries.readFromLeader(key, deadline);
    const theirs = liveSession(context, entry);
    if (answer === "lost" && theirs && isOurs(theirs, value, metadata)) {
      return saved(handle, data, theirs.revision, metadata, value);
    }
    if (record && !theirs) return GONE;
    base = theirs
      ? { revision: theirs.revision, createdAt: theirs.metadata.createdAt }
      : { revision: entry?.revision ?? 0, createdAt: undefined };
    stale = false;
    if (attempt > 1) await sleep(Math.random() * attempt * CONFLICT_PAUSE);
  }
  throw new SessionStoreError(
    "ERR_SESSION_CONTENTION",
    `The session was changed by others ${MOST_ATTEMPTS} times while this save was tried.`,
  );
}

const GONE = { outcome: "gone", record: null } as const;

function saved<T extends object>(
  handle: string,
  data: T,
  revision: number,
  { createdAt, expiresAt }: Metadata,
  value: Uint8Array,
): SaveResult<T> {
  return { outcome: "saved", record: new StoredRecord(handle, data, revision, createdAt, expiresAt, value) };
}
