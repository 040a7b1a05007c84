import { isDeepStrictEqual } from "node:util";
import { type Context, isOurs, liveSession, type StoredSession } from "./context.js";
import { SessionStoreError } from "./errors.js";
import { expiryOf, isLive, ttlSeconds } from "./expiry.js";
import type { Resolve } from "./merge.js";
import { type Content, mergeStored } from "./merge-stored.js";
import type { ResolvedOptions } from "./options.js";
import type { Metadata } from "./record.js";
import { isSame } from "./serializer.js";
import { StoredRecord } from "./stored-record.js";
import type { SaveResult } from "./types.js";
import type { WriteAnswer } from "./wire/index.js";

/** What is to be saved. */
export interface Save<T extends object> extends Content<T> {
  readonly handle: string;
  /** The object that the data were taken from. */
  readonly source: object;
  readonly record: StoredRecord<T> | undefined;
  /** Life from now in ms of what is stored. */
  readonly lifeFor: (data: T) => number;
  /** In ms of `performance.now()`. */
  readonly deadline: number;
}

/** What a write builds on: the revision that must still be there, and when the session began. */
interface Ground {
  readonly revision: number;
  readonly createdAt: number | undefined;
}

const NOTHING: Ground = { revision: 0, createdAt: undefined };
const GONE = { outcome: "gone", record: null } as const;

/** A save from its first write to the one that lands: it knows what it has tried and what it has found. */
export class SaveAttempt<T extends object> {
  readonly #context: Context;
  readonly #save: Save<T>;
  readonly #key: string;
  #ground: Ground;
  #content: Content<T> | undefined;
  #metadata: Metadata | undefined;
  #mayWrite: boolean;
  #mayBeDone = false;

  constructor(context: Context, save: Save<T>) {
    this.#context = context;
    this.#save = save;
    this.#key = context.keyStart + save.handle;
    this.#ground = save.record ?? NOTHING;
    // A record past its time is no ground to write on: somebody may have renewed the session, else it is gone.
    this.#mayWrite = save.record === undefined || isLive(save.record, Date.now(), context.options);
  }

  /** Look before the next write: what was found last is not there any more. */
  expectConflict(): void {
    this.#mayWrite = false;
  }

  /** Writes; after a conflict it finds out what to write the next time, and gives nothing. */
  async try(): Promise<SaveResult<T> | undefined> {
    const now = Date.now();
    this.#content ??= this.#mustMerge() ? await this.#mergeHeld() : this.#save;
    const { data, value } = this.#content;
    this.#metadata ??= this.#metadataFor(data, now);
    const metadata = this.#metadata;
    if (metadata.expiresAt <= now) return GONE;

    const answer = this.#mayWrite ? await this.#write(value, metadata, now) : "conflict";
    if (typeof answer === "number") return this.#stored(answer, metadata);
    this.#mayBeDone ||= answer === "lost";
    return this.#look(value, metadata);
  }

  /** After a conflict: whether that was it, else what to write the next time. */
  async #look(value: Uint8Array, metadata: Metadata): Promise<SaveResult<T> | undefined> {
    const entry = await this.#context.bucket.entries.readFromLeader(this.#key, this.#save.deadline);
    const theirs = liveSession(this.#context, entry);
    if (this.#mayBeDone && theirs && isOurs(theirs, value, metadata))
      return this.#stored(theirs.revision, metadata);
    if (this.#isGone(theirs)) return GONE;
    const revision = entry?.revision ?? 0;
    if (revision !== this.#ground.revision) {
      this.#ground = { revision, createdAt: theirs?.metadata.createdAt };
      this.#metadata = undefined;
      this.#content = theirs ? await this.#settle(theirs) : this.#save;
    }
    this.#mayWrite = true;
    return undefined;
  }

  #write(value: Uint8Array, metadata: Metadata, now: number): Promise<WriteAnswer> {
    const write = {
      key: this.#key,
      value,
      metadata,
      expected: this.#ground.revision,
      ttlSeconds: ttlSeconds(metadata.expiresAt, now),
    };
    return this.#context.bucket.entries.write(write, this.#save.deadline);
  }

  #metadataFor(data: T, now: number): Metadata {
    const createdAt = this.#ground.createdAt ?? now;
    const expiresAt = expiryOf(now, this.#save.lifeFor(data), createdAt, this.#context.options);
    return { createdAt, expiresAt, write: this.#ground.createdAt === undefined ? "create" : "update" };
  }

  /** Whether an earlier merge took something from the other side that the holder never saw. */
  #mustMerge(): boolean {
    const { record, source } = this.#save;
    return record !== undefined && !isSame(StoredRecord.baseOf(record, source), StoredRecord.valueOf(record));
  }

  async #mergeHeld(): Promise<Content<T>> {
    const { record, source } = this.#save;
    if (!record) return this.#save;
    const base = StoredRecord.baseOf(record, source);
    return mergeStored(this.#context.options, this.#save, base, StoredRecord.valueOf(record));
  }

  /** Ended, or ended and begun again under the same id: what was loaded then is not to get into it. */
  #isGone(theirs: StoredSession | null): boolean {
    const { record } = this.#save;
    return record !== undefined && theirs?.metadata.createdAt !== record.createdAt;
  }

  /** What is to be stored now that somebody else has written. */
  async #settle(theirs: StoredSession): Promise<Content<T>> {
    const { record, source } = this.#save;
    const { options } = this.#context;
    if (!record) return this.#save;
    const base = StoredRecord.baseOf(record, source);
    // Their write was a touch: there is nothing to settle.
    if (isSame(theirs.value, base)) return this.#save;
    if (options.onConflict === "overwrite") return this.#save;
    if (options.onConflict === "error") {
      throw new SessionStoreError(
        "ERR_SESSION_CONFLICT",
        "The session was changed by others since it was loaded.",
      );
    }
    return mergeStored(this.#mayBeDone ? settledWhereSame(options) : options, this.#save, base, theirs.value);
  }

  #stored(revision: number, metadata: Metadata): SaveResult<T> {
    const { handle, value: ours, source } = this.#save;
    const { data, value } = this.#content ?? this.#save;
    const isMerged = value !== ours;
    const held = isMerged ? { value: ours, source } : undefined;
    const record = new StoredRecord({ handle, data, value, revision, metadata, held });
    return { outcome: isMerged ? "merged" : "saved", record };
  }
}

/** Where a write of ours may be part of theirs already, the same value is no second change. */
function settledWhereSame(options: ResolvedOptions): ResolvedOptions {
  const resolve: Resolve = (key, conflict) =>
    isDeepStrictEqual(conflict.ours, conflict.theirs) ? conflict.ours : options.resolve(key, conflict);
  return { ...options, resolve };
}
