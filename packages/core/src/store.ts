import { destroyById, findElsewhere, handlesOf, isOf, saveById, touchById } from "./by-id.js";
import { ChangeFeed } from "./change-feed.js";
import { ChangeReader } from "./change-reader.js";
import type { BareContext, Context, StoredSession } from "./context.js";
import { destroySession } from "./destroy.js";
import { SessionStoreError } from "./errors.js";
import { indexKeyStart, isHandle, sessionKeyStart } from "./key.js";
import { namesBy } from "./keyed-names.js";
import { clearSessions, countLive, isLiveListed, listEntries, listedSession } from "./listing.js";
import { NearCache } from "./near-cache.js";
import type { ResolvedOptions } from "./options.js";
import { rotateSession } from "./rotate.js";
import { deserialize } from "./serializer.js";
import { SessionReads } from "./session-reads.js";
import { StoredRecord } from "./stored-record.js";
import { isTouchDue } from "./touch.js";
import type {
  CacheStats,
  ChangesOptions,
  CountOptions,
  RotateOptions,
  SaveOptions,
  SaveResult,
  SessionChanges,
  SessionData,
  SessionRecord,
  SessionStore,
  TouchOptions,
  TouchResult,
  UserSession,
} from "./types.js";
import { destroyAllOf, newestFirst } from "./user-sessions.js";
import type { BucketConnection } from "./wire/index.js";

/** The session store over an open bucket; what each operation does stands in the file of its name. */
export class NatsSessionStore<T extends object = SessionData> implements SessionStore<T> {
  readonly #context: Context;
  readonly #feed: ChangeFeed;
  readonly #cache: NearCache | undefined;
  #running = 0;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(bucket: BucketConnection, options: ResolvedOptions) {
    const context: BareContext = {
      bucket,
      options,
      names: namesBy(options),
      keyStart: sessionKeyStart(options.prefix),
      indexStart: indexKeyStart(options.prefix),
      later: (task) => void this.#run(task).catch(() => {}),
    };
    this.#feed = new ChangeFeed(context);
    this.#cache = options.cache && new NearCache(this.#feed, options.cache);
    this.#context = Object.assign(context, { reads: new SessionReads(context, this.#cache) });
  }

  /** Resolves when the near cache has its feed, where there is to be one. */
  get ready(): Promise<void> {
    return this.#cache?.ready ?? Promise.resolve();
  }

  load(id: string): Promise<SessionRecord<T> | null> {
    return this.#run(async () => {
      const handle = this.handleOf(id);
      const session = await this.#context.reads.read(handle);
      if (session) return this.#recordOf(handle, session);
      const found = await findElsewhere(this.#context, id);
      return found && this.#recordOf(found.handle, found.session);
    });
  }

  save(id: string, data: T, options: SaveOptions<T> = {}): Promise<SaveResult<T>> {
    return this.#run(async () => saveById(this.#context, id, data, options));
  }

  touch(id: string, record: SessionRecord<T>, options: TouchOptions = {}): Promise<TouchResult<T>> {
    return this.#run(async () => touchById(this.#context, id, record, options));
  }

  isTouchDue(record: SessionRecord<T>, options: TouchOptions = {}): boolean {
    return this.#closing !== undefined || isTouchDue(this.#context, record, options);
  }

  destroy(id: string): Promise<boolean> {
    return this.#run(async () => destroyById(this.#context, id));
  }

  handleOf(id: string): string {
    return this.#context.names.handleOf(id);
  }

  isOf(id: string, record: SessionRecord<T>): boolean {
    return isOf(this.#context, id, record);
  }

  ownerOf(user: string): string {
    return this.#context.names.ownerOf(user);
  }

  destroyHandle(handle: string, { user }: { user?: string | undefined } = {}): Promise<boolean> {
    return this.#run(async () => {
      if (typeof handle !== "string") throw new TypeError(`Expected a handle, got ${typeof handle}`);
      const owners = user === undefined ? undefined : this.#context.names.ownersOf(user);
      return isHandle(handle) && destroySession(this.#context, handle, owners);
    });
  }

  rotate(id: string, newId: string, data: T, options: RotateOptions<T>): Promise<SaveResult<T>> {
    return this.#run(async () =>
      rotateSession(this.#context, handlesOf(this.#context, id), this.handleOf(newId), data, options),
    );
  }

  async *listOf(user: string): AsyncGenerator<UserSession<T>, undefined> {
    const owners = this.#listed(user);
    for await (const batch of this.#steps(newestFirst(this.#context, owners))) {
      for (const session of batch) {
        const record = await this.#readable(session.handle, session);
        if (record) yield Object.assign(record, { lastWriteAt: session.writtenAt });
      }
    }
  }

  destroyOf(user: string, { except }: { except?: string | undefined } = {}): Promise<number> {
    return this.#run(async () => {
      const spared = except === undefined ? [] : this.#context.names.aliasesOf(except);
      return destroyAllOf(this.#context, this.#listed(user), spared);
    });
  }

  async *ids(): AsyncGenerator<string, undefined> {
    for await (const batch of this.#steps(listEntries(this.#context))) {
      for (const listed of batch) if (isLiveListed(this.#context, listed)) yield listed.handle;
    }
  }

  async *all(): AsyncGenerator<SessionRecord<T>, undefined> {
    for await (const batch of this.#steps(listEntries(this.#context))) {
      for (const listed of batch) {
        const session = listedSession(this.#context, listed);
        const record = session && (await this.#readable(listed.handle, session));
        if (record) yield record;
      }
    }
  }

  cacheStats(): CacheStats | undefined {
    return this.#cache?.stats;
  }

  changes(options?: ChangesOptions): SessionChanges {
    if (this.#closing) throw closed();
    return new ChangeReader(this.#feed, options);
  }

  count({ exact = false }: CountOptions = {}): Promise<number> {
    return this.#run(async () =>
      exact ? countLive(this.#context) : (await this.#context.bucket.state()).entries,
    );
  }

  clear(): Promise<void> {
    return this.#run(() => clearSessions(this.#context));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#feed.close();
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    this.#context.bucket.close();
  }

  #recordOf(handle: string, session: StoredSession): StoredRecord<T> | Promise<StoredRecord<T>> {
    const data = deserialize<T>(session.value, this.#context.options.serializer);
    const record = (data: T) => new StoredRecord({ handle, data, ...session });
    return data instanceof Promise ? data.then(record) : record(data);
  }

  /** `null` for what cannot be read, which must not hide the others. */
  async #readable(handle: string, session: StoredSession): Promise<StoredRecord<T> | null> {
    try {
      return await this.#recordOf(handle, session);
    } catch {
      return null;
    }
  }

  /** @throws TypeError where the store was not told how to name users */
  #listed(user: string): readonly string[] {
    if (this.#context.options.user) return this.#context.names.ownersOf(user);
    throw new TypeError("Expected the store to be opened with `user`, which names the user of a session");
  }

  /** A listing is under way for as long as its reader takes; only its reads count as running. */
  async *#steps<B>(batches: AsyncGenerator<B, void>): AsyncGenerator<B, void> {
    for (;;) {
      const { value, done } = await this.#run(() => batches.next());
      if (done) return;
      yield value;
    }
  }

  #run<R>(operation: () => Promise<R>): Promise<R> {
    if (this.#closing) {
      return Promise.reject(closed());
    }
    this.#running++;
    const result = operation();
    result.then(this.#done, this.#done);
    return result;
  }

  #done = (): void => {
    this.#running--;
    if (this.#running === 0) this.#idle?.();
  };
}

function closed(): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed.");
}
