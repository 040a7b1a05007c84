import { find } from "./by-id.js";
import { contention } from "./contention.js";
import { type Context, deadlineOf, liveSession, type StoredSession } from "./context.js";
import { destroySession } from "./destroy.js";
import { expiryOf, isLive, lifeOf } from "./expiry.js";
import { type Content, settle } from "./merge-stored.js";
import { HEADER, type Metadata, type Ownership } from "./record.js";
import { serialize } from "./serializer.js";
import { admit, endOldest } from "./session-limit.js";
import { StoredRecord } from "./stored-record.js";
import type { RotateOptions, SaveResult } from "./types.js";
import { leave, ownershipOf, ownersIn, withdraw } from "./user-index.js";
import { removeSession, writeSession } from "./write.js";

const GONE = { outcome: "gone", record: null } as const;

/**
 * Gives a session another id: stored under the new one, then ended under the old one, if nobody has written there
 * meanwhile, else all over again with what they have written. The old id, which somebody else may know, never holds
 * the new data. The session keeps its age, and its place among its owner's sessions.
 */
export async function rotateSession<T extends object>(
  context: Context,
  handles: readonly string[],
  newHandle: string,
  data: T,
  { record: given, ttl, source = data, newSource = source }: RotateOptions<T>,
): Promise<SaveResult<T>> {
  if (handles.includes(newHandle))
    throw new TypeError("Expected the new session id to be another than the old one");
  const { options } = context;
  const record = StoredRecord.of(given, handles);
  const lifeFor = (stored: T) => lifeOf(typeof ttl === "function" ? ttl(stored) : ttl, options);
  if (lifeFor(data) <= 0) {
    await Promise.all(handles.map((handle) => destroySession(context, handle)));
    return GONE;
  }
  const ours = { data, value: await serialize(data, options.serializer) };
  const base = StoredRecord.baseOf(record, source);
  const rotation = new Rotation(context, { handles, handle: record.handle, newHandle, lifeFor });
  try {
    for (let stored = await rotation.current(record); stored; stored = await rotation.found(record)) {
      const content = await settle(options, ours, base, stored.value);
      const written = await rotation.store(content, stored);
      if (!written) break;
      if (await rotation.endOld(stored)) {
        const held = content === ours ? undefined : { value: ours.value, source: newSource };
        const moved = new StoredRecord({ handle: newHandle, ...content, ...written, held });
        return { outcome: held ? "merged" : "saved", record: moved };
      }
    }
  } catch (error) {
    // Nobody has been told the new id.
    context.later(() => destroySession(context, newHandle));
    throw error;
  }
  await destroySession(context, newHandle);
  return GONE;
}

interface Ids<T> {
  /** All names of the old id. */
  readonly handles: readonly string[];
  /** The one that the session has. */
  readonly handle: string;
  readonly newHandle: string;
  readonly lifeFor: (data: T) => number;
}

interface Stored {
  readonly revision: number;
  readonly metadata: Metadata;
}

/** The steps of giving a session another id; they are gone through again when others write meanwhile. */
class Rotation<T extends object> {
  readonly #context: Context;
  readonly #ids: Ids<T>;
  #handle: string;
  readonly #deadline: number;
  /** What stands in the user index for the new id. */
  #entered: Ownership | undefined;
  /** The names of the user, the newest first. */
  #owners: readonly string[] = [];
  /** An answer to the end of the old one was lost. */
  #mayBeDone = false;

  constructor(context: Context, ids: Ids<T>) {
    this.#context = context;
    this.#ids = ids;
    this.#handle = ids.handle;
    this.#deadline = deadlineOf(context);
  }

  /** What is stored under the old id as far as the record tells, without asking. */
  async current(record: StoredRecord<T>): Promise<StoredSession | null> {
    return isLive(record, Date.now(), this.#context.options)
      ? StoredRecord.storedOf(record)
      : this.found(record);
  }

  /** What is stored under the old id now; `null` when it is gone, or begun again. */
  async found({ createdAt }: StoredRecord<T>): Promise<StoredSession | null> {
    if (performance.now() > this.#deadline) throw contention();
    const key = this.#context.keyStart + this.#handle;
    const entry = await this.#context.bucket.entries.readFromLeader(key, this.#deadline);
    const theirs = liveSession(this.#context, this.#handle, entry);
    if (theirs?.metadata.createdAt === createdAt) return theirs;
    const { handles } = this.#ids;
    const renamed = handles.length > 1 ? await find(this.#context, handles) : null;
    if (renamed?.session.metadata.createdAt !== createdAt) return null;
    this.#handle = renamed.handle;
    return renamed.session;
  }

  /** Stores the session under its new id; nothing where its time is over. */
  async store({ data, value }: Content<T>, old: StoredSession): Promise<Stored | undefined> {
    const { newHandle: handle, lifeFor } = this.#ids;
    const { createdAt, ownership: before } = old.metadata;
    const now = Date.now();
    const expiresAt = expiryOf(now, lifeFor(data), createdAt, this.#context.options);
    if (expiresAt <= now) return undefined;
    const owners = ownersIn(this.#context, data, before);
    const ownership = await this.#enter(owners, before, expiresAt);
    const metadata: Metadata = { createdAt, expiresAt, write: "create", ownership };
    const write = { handle, value, metadata, expected: undefined };
    for (;;) {
      const answer = await writeSession(this.#context, write, this.#deadline);
      // What may have been written may be written again: nobody else knows the new id yet.
      if (typeof answer === "number") return { revision: answer, metadata };
    }
  }

  /** @returns whether it is ended by this; not when somebody has written it, or ended it, since it was read */
  async endOld({ metadata: stored, revision }: StoredSession): Promise<boolean> {
    const { newHandle } = this.#ids;
    const handle = this.#handle;
    const key = this.#context.keyStart + handle;
    const metadata: Metadata = { ...stored, write: "destroy" };
    // By `movedTo` an end of ours is told from another's when the answer to it was lost.
    const removal = { handle, metadata, expected: revision, movedTo: newHandle };
    for (;;) {
      const answer = await removeSession(this.#context, removal, this.#deadline);
      if (typeof answer === "number") break;
      if (answer === "conflict" && !this.#mayBeDone) return false;
      this.#mayBeDone = true;
      const entry = await this.#context.bucket.entries.readFromLeader(key, this.#deadline);
      if (entry?.header(HEADER.movedTo) === newHandle) break;
      if (entry?.revision !== revision) return false;
    }
    leave(this.#context, handle, stored.ownership);
    await this.#afterSignIn(stored.ownership);
    return true;
  }

  /** @throws `ERR_SESSION_LIMIT` */
  async #enter(
    owners: readonly string[],
    before: Ownership | undefined,
    expiresAt: number,
  ): Promise<Ownership | undefined> {
    const { newHandle: handle } = this.#ids;
    const since = before && owners.includes(before.owner) ? before.since : undefined;
    const owned = { handle, owners, before: this.#entered, since, expiresAt };
    const entered = await ownershipOf(this.#context, owned, this.#deadline);
    if (this.#entered && this.#entered.owner !== owners[0]) withdraw(this.#context, handle, this.#entered);
    const isNew = entered !== undefined && entered !== this.#entered && since === undefined;
    this.#entered = entered;
    this.#owners = owners;
    if (isNew) await admit(this.#context, handle, entered, owners);
    return entered;
  }

  /** Who has become another's by this is one more of theirs. */
  async #afterSignIn(before: Ownership | undefined): Promise<void> {
    const wasTheirs = before !== undefined && this.#owners.includes(before.owner);
    if (this.#entered && !wasTheirs) await endOldest(this.#context, this.#owners);
  }
}
