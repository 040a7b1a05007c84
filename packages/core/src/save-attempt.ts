import { isDeepStrictEqual } from "node:util";
import { type Context, liveSession, type StoredSession } from "./context.js";
import { expiryOf, isLive } from "./expiry.js";
import type { Resolve } from "./merge.js";
import { type Content, mergeStored, settle } from "./merge-stored.js";
import type { ResolvedOptions } from "./options.js";
import type { Metadata, Ownership } from "./record.js";
import { isSame } from "./serializer.js";
import { admit, endOldest } from "./session-limit.js";
import { StoredRecord } from "./stored-record.js";
import type { SaveResult } from "./types.js";
import { leave, ownershipOf, ownersIn, putRight, withdraw } from "./user-index.js";
import { isOurs, writeSession } from "./write.js";

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

/** What a write builds on: the revision that must still be there, when the session began, and whose it is. */
interface Ground {
  readonly revision: number;
  readonly createdAt: number | undefined;
  readonly ownership: Ownership | undefined;
}

const NOTHING: Ground = { revision: 0, createdAt: undefined, ownership: undefined };
const GONE = { outcome: "gone", record: null } as const;

/** A save from its first write to the one that lands: it knows what it has tried and what it has found. */
export class SaveAttempt<T extends object> {
  readonly #context: Context;
  readonly #save: Save<T>;
  #ground: Ground;
  #content: Content<T> | undefined;
  #metadata: Metadata | undefined;
  /** What stands in the user index because of this save. */
  #entered: Ownership | undefined;
  /** The names of the user, the newest first. */
  #owners: readonly string[] = [];
  #mayWrite: boolean;
  #mayBeDone = false;
  #changes = 0;

  constructor(context: Context, save: Save<T>) {
    this.#context = context;
    this.#save = save;
    this.#ground = save.record ? groundOf(save.record) : NOTHING;
    // A record past its time is no ground to write on: somebody may have renewed the session, else it is gone.
    this.#mayWrite = save.record === undefined || isLive(save.record, Date.now(), context.options);
  }

  /** Look before the next write: what was found last is not there any more. */
  expectConflict(): void {
    this.#mayWrite = false;
  }

  /** Whether an answer was lost, and with it more time than others can have taken. */
  get hasLostAnswer(): boolean {
    return this.#mayBeDone;
  }

  /** How often others were found to have written. A server without a majority refuses writes without any. */
  get changes(): number {
    return this.#changes;
  }

  /** Writes; after a conflict it finds out what to write the next time, and gives nothing. */
  async try(): Promise<SaveResult<T> | undefined> {
    if (!this.#mayWrite) return this.#look();
    this.#content ??= this.#mustMerge() ? await this.#mergeHeld() : this.#save;
    const { data, value } = this.#content;
    this.#metadata ??= await this.#metadataFor(data);
    const metadata = this.#metadata;
    if (metadata.expiresAt <= Date.now()) return this.#gone();

    const { handle, deadline } = this.#save;
    const write = { handle, value, metadata, expected: this.#ground.revision };
    const answer = await writeSession(this.#context, write, deadline);
    if (typeof answer === "number") return this.#stored(answer, metadata);
    this.#mayBeDone ||= answer === "lost";
    return this.#look();
  }

  /** After a conflict: whether that was it, else what to write the next time. */
  async #look(): Promise<SaveResult<T> | undefined> {
    const { handle, deadline, value: ours } = this.#save;
    const key = this.#context.keyStart + handle;
    const entry = await this.#context.bucket.entries.readFromLeader(key, deadline);
    const theirs = liveSession(this.#context, handle, entry);
    const metadata = this.#metadata;
    if (this.#mayBeDone && metadata && theirs && isOurs(theirs, this.#content?.value ?? ours, metadata)) {
      return this.#stored(theirs.revision, metadata);
    }
    if (this.#isGone(theirs)) return this.#gone();
    const revision = entry?.revision ?? 0;
    if (revision !== this.#ground.revision) {
      this.#changes++;
      this.#ground = {
        revision,
        createdAt: theirs?.metadata.createdAt,
        ownership: theirs?.metadata.ownership,
      };
      this.#metadata = undefined;
      this.#content = theirs ? await this.#settle(theirs) : this.#save;
    }
    this.#mayWrite = true;
    return undefined;
  }

  #metadataFor(data: T): Metadata | Promise<Metadata> {
    const now = Date.now();
    const createdAt = this.#ground.createdAt ?? now;
    const expiresAt = expiryOf(now, this.#save.lifeFor(data), createdAt, this.#context.options);
    const write = this.#ground.createdAt === undefined ? "create" : "update";
    const ownership = this.#ownershipFor(data, expiresAt);
    if (ownership instanceof Promise) {
      return ownership.then((ownership) => ({ createdAt, expiresAt, write, ownership }));
    }
    return { createdAt, expiresAt, write, ownership };
  }

  #ownershipFor(data: T, expiresAt: number): Ownership | undefined | Promise<Ownership> {
    const { handle, deadline } = this.#save;
    const { ownership: stored } = this.#ground;
    const owners = ownersIn(this.#context, data, stored);
    const before = this.#entered && this.#entered.owner === owners[0] ? this.#entered : stored;
    this.#owners = owners;
    const ownership = ownershipOf(this.#context, { handle, owners, before, expiresAt }, deadline);
    return ownership instanceof Promise ? ownership.then((entered) => this.#enter(entered)) : ownership;
  }

  /** @throws `ERR_SESSION_LIMIT` */
  async #enter(ownership: Ownership): Promise<Ownership> {
    if (this.#entered?.owner !== ownership.owner) withdraw(this.#context, this.#save.handle, this.#entered);
    this.#entered = ownership;
    if (this.#isNewTo(ownership)) {
      await admit(this.#context, this.#save.handle, ownership, this.#owners);
    }
    return ownership;
  }

  /** Whether it was not this user's before, under any name of theirs. */
  #isNewTo({ owner }: Ownership): boolean {
    const before = this.#ground.ownership?.owner;
    return before !== owner && (before === undefined || !this.#owners.includes(before));
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
    return settle(this.#mayBeDone ? settledWhereSame(options) : options, this.#save, base, theirs.value);
  }

  #gone(): SaveResult<T> {
    withdraw(this.#context, this.#save.handle, this.#entered);
    return GONE;
  }

  async #stored(revision: number, metadata: Metadata): Promise<SaveResult<T>> {
    const { ownership } = metadata;
    const { ownership: before } = this.#ground;
    if (before && before.owner !== ownership?.owner) leave(this.#context, this.#save.handle, before);
    if (ownership && this.#isNewTo(ownership)) {
      const { owner } = ownership;
      this.#context.later(() => putRight(this.#context, owner, this.#save.handle));
      await endOldest(this.#context, this.#owners);
    }
    const { handle, value: ours, source } = this.#save;
    const { data, value } = this.#content ?? this.#save;
    const isMerged = value !== ours;
    const held = isMerged ? { value: ours, source } : undefined;
    const record = new StoredRecord({ handle, data, value, revision, metadata, held });
    return { outcome: isMerged ? "merged" : "saved", record };
  }
}

function groundOf(record: StoredRecord<object>): Ground {
  const { revision, createdAt } = record;
  return { revision, createdAt, ownership: StoredRecord.ownershipOf(record) };
}

/** Where a write of ours may be part of theirs already, the same value is no second change. */
function settledWhereSame(options: ResolvedOptions): ResolvedOptions {
  const resolve: Resolve = (key, conflict) =>
    isDeepStrictEqual(conflict.ours, conflict.theirs) ? conflict.ours : options.resolve(key, conflict);
  return { ...options, resolve };
}
