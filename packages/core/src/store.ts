import { type Assembly, assemble } from "./assembly.js";
import { ChangeReader } from "./changes/reader.js";
import { handleOf, isHandle } from "./format/keys.js";
import { traceSkippedTouch } from "./operation-trace.js";
import { destroyByUser, listByUser, requireUsers } from "./operations/by-user.js";
import { checkBucket, checkTimeout } from "./operations/check.js";
import { destroyAfterWrites, destroyByHandle } from "./operations/destroy.js";
import { clearSessions, countLive, liveHandles, liveRecords } from "./operations/list.js";
import { loadSession } from "./operations/load.js";
import { storedOf } from "./operations/loaded-session.js";
import { recordOf } from "./operations/record.js";
import { rotateSession } from "./operations/rotate.js";
import { saveSession } from "./operations/save.js";
import { isTouchDue, touchSession } from "./operations/touch.js";
import { updateSession } from "./operations/update.js";
import type { SessionStoreOptions } from "./options.js";
import { resolveOptions } from "./resolve-options.js";
import type {
  CacheStats,
  ChangesOptions,
  CheckOptions,
  CheckResult,
  CountOptions,
  NatsConnectionSource,
  OnEndedOptions,
  RotateOptions,
  SaveOptions,
  SaveResult,
  SessionChanges,
  SessionData,
  SessionEnd,
  SessionRecord,
  TouchOptions,
  TouchResult,
  UserSession,
} from "./types.js";
import { type OperationContext, operations } from "./util/channels.js";
import { now } from "./util/timers.js";

/**
 * Sessions in a NATS key-value bucket, or in several. The store opens itself: each operation waits, within its own
 * `timeout`, for the connection and the buckets. All methods may be called at the same time. They reject with a
 * {@link SessionStoreError} (see its codes) or, for wrong arguments, a `TypeError`.
 *
 * @example
 * const sessions = new SessionStore(() => connect({ servers: "nats://localhost:4222", maxReconnectAttempts: -1 }));
 * const { record } = await sessions.save(id, { user: "ada" });
 * await sessions.save(id, { user: "ada", theme: "dark" }, { record });
 */
export class SessionStore<T extends object = SessionData> {
  readonly #parts: Assembly;

  /**
   * @param nc a NATS connection, a promise of one, or a function that connects. The store never closes it
   * @throws TypeError for a wrong option, naming it and what was expected
   */
  constructor(nc: NatsConnectionSource, options?: SessionStoreOptions) {
    this.#parts = assemble(nc, resolveOptions(options));
  }

  /** A store that is open: `new SessionStore` and `ready()`, with the errors of both. */
  static async open<T extends object = SessionData>(
    nc: NatsConnectionSource,
    options?: SessionStoreOptions,
  ): Promise<SessionStore<T>> {
    const store = new SessionStore<T>(nc, options);
    try {
      await store.ready();
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  /** Name of the bucket. */
  get bucket(): string {
    return this.#parts.context.options.bucket;
  }

  /**
   * Resolves when the store is open, for an application that wants to fail when it starts.
   * @throws `ERR_SESSION_UNAVAILABLE`, `ERR_SESSION_SERVER_VERSION`, `ERR_SESSION_JETSTREAM_OFF`,
   * `ERR_SESSION_PERMISSION`, `ERR_SESSION_BUCKET_MISSING`, `ERR_SESSION_BUCKET_MISMATCH`, `ERR_SESSION_NO_FEED`,
   * `ERR_SESSION_SERVER`
   */
  ready(): Promise<void> {
    return this.#parts.lifecycle.operate("open", undefined, async () => {});
  }

  /**
   * Asks the bucket's leader whether it is there, for `/healthz` and readiness. It writes nothing.
   * @throws as every operation: `ERR_SESSION_UNAVAILABLE` without a leader or an answer within `timeout`, …; TypeError
   * @example
   * app.get("/healthz", async (req, res) => res.json(await sessions.check({ timeout: 1000 })));
   */
  async check(options: CheckOptions = {}): Promise<CheckResult> {
    const { lifecycle, context, feed } = this.#parts;
    const end = now() + checkTimeout(options, context);
    const check = (deadline: number) => checkBucket(context, feed, deadline);
    return lifecycle.operate("check", undefined, check, undefined, end);
  }

  /** The session's record, or `null` when the server says that there is none (never because of an outage). */
  load(id: string): Promise<SessionRecord<T> | null> {
    return this.#parts.lifecycle.operate("load", id, (deadline, trace) =>
      loadSession<T>(this.#parts.context, trace?.handle ?? handleOf(id), deadline, trace),
    );
  }

  /** Stores the data; see {@link SaveResult}. */
  save(id: string, data: T, options: SaveOptions<T> = {}): Promise<SaveResult<T>> {
    return this.#parts.lifecycle.operate("save", id, (deadline, trace) =>
      saveSession(this.#parts.context, trace?.handle ?? handleOf(id), data, options, deadline, trace),
    );
  }

  /** Renews a loaded session and changes nothing else; see {@link TouchResult}. */
  touch(id: string, record: SessionRecord<T>, options: TouchOptions = {}): Promise<TouchResult<T>> {
    return this.#parts.lifecycle.operate("touch", id, (deadline, trace) =>
      touchSession(this.#parts.context, trace?.handle ?? handleOf(id), record, options, deadline, trace),
    );
  }

  /**
   * Loads a session, changes its data and stores them, again and again until no other request has written it in
   * between. The session's expiry stays as it is.
   *
   * @param change changes the data in place or returns other data; it may be called more than once
   * @returns `gone` where there is no such session
   * @example
   * await sessions.update(id, (data) => { data.visits += 1; });
   */
  update(
    id: string,
    // biome-ignore lint/suspicious/noConfusingVoidType: a function that changes the data in place returns nothing
    change: (data: T) => T | undefined | void | Promise<T | undefined | void>,
  ): Promise<SaveResult<T>> {
    return this.#parts.lifecycle.operate("update", id, (deadline, trace) =>
      updateSession(this.#parts.context, trace?.handle ?? handleOf(id), change, deadline, trace),
    );
  }

  /** Ends a session for good; true when there was one. */
  destroy(id: string): Promise<boolean> {
    return this.#parts.lifecycle.operate("destroy", id, (deadline, trace) =>
      destroyAfterWrites(this.#parts.context, trace?.handle ?? handleOf(id), undefined, deadline, trace),
    );
  }

  /** Ends the session of this handle, if it is `user`'s where one is given; false where there is no such session. */
  destroyByHandle(handle: string, { user }: { user?: string | undefined } = {}): Promise<boolean> {
    const { lifecycle, context } = this.#parts;
    const destroy = (deadline: number, trace?: OperationContext) =>
      destroyByHandle(context, handle, user, deadline, trace);
    return lifecycle.operate("destroy", undefined, destroy, isHandle(handle) ? handle : undefined);
  }

  /**
   * Gives a session another id and ends it under the old one, for after a sign-in or a change of rights (OWASP
   * Session Management: renew the session id). It keeps its data, its age and its user. A session that is gone stays
   * gone.
   */
  rotate(id: string, newId: string, data: T, options: RotateOptions<T>): Promise<SaveResult<T>> {
    return this.#parts.lifecycle.operate("rotate", id, (deadline, trace) =>
      rotateSession(
        this.#parts.context,
        trace?.handle ?? handleOf(id),
        handleOf(newId),
        data,
        options,
        deadline,
        trace,
      ),
    );
  }

  /** The public name of a session. */
  handleOf(id: string): string {
    return handleOf(id);
  }

  /** The name under which a user stands in the bucket and in changes. */
  hashUser(user: string): string {
    return this.#parts.context.users.current(user);
  }

  /**
   * A user's live sessions, newest first, read in batches. A session that was saved before the call is among them.
   * Rejects at the end, after all that can be read, where a session of the user cannot be read.
   * @throws TypeError without the option `user`
   */
  async *listByUser(user: string): AsyncGenerator<UserSession<T>, undefined> {
    requireUsers(this.#parts.context);
    yield* this.#each((deadline) => listByUser<T>(this.#parts.context, user, deadline));
  }

  /**
   * Ends all sessions of a user, but for the one of the handle `except`.
   * @returns how many it ended
   * @throws TypeError without the option `user`
   */
  destroyByUser(user: string, { except }: { except?: string | undefined } = {}): Promise<number> {
    return this.#parts.lifecycle.operate("destroyByUser", undefined, async () => {
      requireUsers(this.#parts.context);
      return destroyByUser(this.#parts.context, user, except, () => this.#parts.lifecycle.deadline());
    });
  }

  /** Handles of the live sessions; ids are not stored. Each once, those that begin meanwhile perhaps. */
  handles(): AsyncIterableIterator<string> {
    return this.#each((deadline) => liveHandles(this.#parts.context, deadline));
  }

  /** The live sessions that can be read, in batches of bounded size. Each once, those that begin meanwhile perhaps. */
  all(): AsyncIterableIterator<SessionRecord<T>> {
    return this.#each((deadline) => liveRecords<T>(this.#parts.context, deadline));
  }

  /**
   * How many entries the bucket holds, from the server's own counter, in constant time: live sessions, those that
   * have expired and were not removed yet, tombstones, index entries, and what other applications keep there.
   * `{ exact: true }` reads every entry's headers and counts the live sessions only.
   */
  count({ exact = false }: CountOptions = {}): Promise<number> {
    return this.#parts.lifecycle.operate("count", undefined, async (deadline) =>
      exact
        ? countLive(this.#parts.context, () => this.#parts.lifecycle.deadline())
        : this.#parts.context.buckets.countEntries(deadline),
    );
  }

  /** Ends every session that there is at the time of the call. */
  clear(): Promise<void> {
    return this.#parts.lifecycle.operate("clear", undefined, () =>
      clearSessions(this.#parts.context, () => this.#parts.lifecycle.deadline()),
    );
  }

  /**
   * The changes of all sessions, made by any process, as the server reports them. After an interruption it catches
   * up: a session that was destroyed or has expired meanwhile is reported, others once with their latest change.
   * Servers from 2.11 on report expiries.
   * Reading rejects with `ERR_SESSION_NO_FEED` where the bucket does not republish, `ERR_SESSION_PERMISSION` where
   * the account may not subscribe, `ERR_SESSION_UNAVAILABLE` once the connection is closed for good.
   */
  changes(options?: ChangesOptions): SessionChanges {
    this.#parts.lifecycle.requireOpen();
    return new ChangeReader(this.#parts.feed, options);
  }

  /**
   * Calls the listener once when a session has ended, in whichever process, also where it had ended already. After an
   * interruption of the feed the store looks itself.
   * @returns a function that stops listening
   * @throws TypeError for what is no handle or no function
   * @example
   * const stop = sessions.onEnded(sessions.handleOf(id), () => socket.close(4401));
   */
  onEnded(handle: string, listener: (end: SessionEnd) => void, options?: OnEndedOptions): () => void {
    this.#parts.lifecycle.requireOpen();
    return this.#parts.watch.onEnded(handle, listener, options);
  }

  /** What the near cache has done; `undefined` where there is none. */
  cacheStats(): CacheStats | undefined {
    return this.#parts.cache?.stats;
  }

  /** Waits for operations under way, then ends the store's subscriptions. The connection stays open. */
  close(): Promise<void> {
    return this.#parts.lifecycle.close();
  }

  /** @internal The session as this record's last read or write left it, with data that nobody has changed. */
  reread(record: SessionRecord<T>): Promise<SessionRecord<T>> {
    const { handle } = record;
    return this.#parts.lifecycle.run(async (deadline) =>
      recordOf<T>(this.#parts.context, handle, storedOf(record), deadline),
    );
  }

  /** @internal For what works beside the store on the same bucket. */
  static partsOf<T extends object>(store: SessionStore<T>): Assembly {
    return store.#parts;
  }

  /** @internal Whether a touch of this record would be stored now; true while the store is not open. */
  isTouchDue(record: SessionRecord<T>, options: TouchOptions = {}): boolean {
    const { lifecycle, context } = this.#parts;
    if (!lifecycle.isOpen || isTouchDue(context, record, options)) return true;
    if (operations.hasSubscribers) traceSkippedTouch(context.buckets, record.handle);
    return false;
  }

  async *#each<I>(list: (deadline: () => number) => AsyncGenerator<I[]>): AsyncGenerator<I, undefined> {
    for await (const batch of this.#parts.lifecycle.batches(list, "list")) yield* batch;
  }
}
