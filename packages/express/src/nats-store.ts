import session, { type SessionData } from "express-session";
import {
  emitChanges,
  type NatsConnectionLike,
  openSessionStore,
  type SessionRecord,
  type SessionStore,
  SessionStoreError,
  type SessionStoreOptions,
  type SessionStoreSource,
  sessionStoreFrom,
  Turns,
} from "nats-session-store";
import { answer, type Callback } from "./callback.js";
import { hasCookie, isSameCookie, lifeOf, restoreExpiry, type StoredCookie, toStored } from "./cookie.js";
import type { GoneEvent, NatsStoreEvents } from "./events.js";

type Request = Parameters<session.Store["createSession"]>[0];

/** Typed listeners; other events, such as express-session's own `connect`, are as any emitter's. */
export interface NatsStore {
  on<E extends keyof NatsStoreEvents>(event: E, listener: (...args: NatsStoreEvents[E]) => void): this;
  on(event: string | symbol, listener: (...args: never[]) => void): this;
  once<E extends keyof NatsStoreEvents>(event: E, listener: (...args: NatsStoreEvents[E]) => void): this;
  once(event: string | symbol, listener: (...args: never[]) => void): this;
}

/** What is remembered of a session object between its load and its next write. */
interface Loaded {
  readonly id: string;
  readonly record: SessionRecord<SessionData>;
  /** The cookie as it is stored; the record's own becomes the live one of the request. */
  readonly cookie: StoredCookie;
}

/**
 * Sessions of express-session in NATS. Every method takes a callback, as express-session calls them, or returns
 * a promise where it is given none.
 *
 * Events: `gone` ({@link GoneEvent}); `created`, `updated`, `touched`, `destroyed`, `expired` and `missed`, made by
 * any process (see `sessions.changes()`); `error` for a write that nobody waits for, and for a feed that fails.
 *
 * @example
 * const store = await NatsStore.open(nc, { ttl: 86_400_000 });
 * app.use(session({ secret, resave: false, saveUninitialized: false, store }));
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the interface has only more exact types of methods that there are
export class NatsStore extends session.Store {
  /** The store that this one stands on: records, revisions, handles, iteration over all sessions. */
  readonly sessions: SessionStore<SessionData>;

  /**
   * Keyed by the data that `get` gave and by the session made of it, so that the revision travels with the
   * session and leaves no trace in it.
   */
  readonly #loaded = new WeakMap<object, Loaded>();

  /** Writes of one session object, in the order they were asked for. */
  readonly #turns = new Turns();

  /** Sessions that are being created, by id. */
  readonly #creating = new Map<string, Promise<unknown>>();

  /** @param source a store of `openSessionStore`, a promise of one, or a function that opens one */
  constructor(source: SessionStoreSource<SessionData>) {
    super();
    this.sessions = sessionStoreFrom(source);
    emitChanges(this, () => this.sessions.changes());
  }

  /** Opens the store; options and errors are those of `openSessionStore`. */
  static async open(
    nc: NatsConnectionLike | PromiseLike<NatsConnectionLike>,
    options?: SessionStoreOptions,
  ): Promise<NatsStore> {
    return new NatsStore(await openSessionStore<SessionData>(nc, options));
  }

  /** The session's data, or `null` when the server says that there is none. An outage is an error. */
  override get(id: string): Promise<SessionData | null>;
  override get(id: string, callback: Callback<SessionData | null>): void;
  override get(id: string, callback?: Callback<SessionData | null>): Promise<SessionData | null> | undefined {
    return answer(this.#get(id), callback);
  }

  /** Stores the session. One that was destroyed elsewhere since it was loaded stays destroyed. */
  override set(id: string, session: SessionData, callback?: Callback): Promise<void> | undefined {
    const turn = this.#turns.run(session, () => this.#set(id, session));
    return this.#answerOrTell(turn, callback);
  }

  /** Renews the session's life; stores a changed cookie at once. */
  override touch(id: string, session: SessionData, callback?: Callback): Promise<void> | undefined {
    if (callback && this.#isTouchNeedless(id, session)) {
      // Before Node lets the first part of the response go, which waits for this: both then leave in one write.
      process.nextTick(callback, null);
      return undefined;
    }
    const turn = this.#turns.run(session, () => this.#touch(id, session));
    return this.#answerOrTell(turn, callback);
  }

  /** Ends the session for good, whoever else is writing it. */
  override destroy(id: string, callback?: Callback): Promise<void> | undefined {
    return this.#answerOrTell(this.#destroy(id), callback);
  }

  /** The data of all live sessions of express-session, as one list; `sessions.all()` goes through them without one. */
  override all(): Promise<SessionData[]>;
  override all(callback: Callback<SessionData[]>): void;
  override all(callback?: Callback<SessionData[]>): Promise<SessionData[]> | undefined {
    return answer(this.#all(), callback);
  }

  /** How many sessions are live; `sessions.count()` is an estimate in constant time. */
  override length(): Promise<number>;
  override length(callback: Callback<number>): void;
  override length(callback?: Callback<number>): Promise<number> | undefined {
    return answer(this.sessions.count({ exact: true }), callback);
  }

  /** Handles of all live sessions, as one list. Ids are not stored. */
  ids(): Promise<string[]>;
  ids(callback: Callback<string[]>): void;
  ids(callback?: Callback<string[]>): Promise<string[]> | undefined {
    return answer(listOf(this.sessions.ids()), callback);
  }

  /** Destroys all sessions. */
  override clear(callback?: Callback): Promise<void> | undefined {
    return this.#answerOrTell(this.sessions.clear(), callback);
  }

  /** Waits for what is under way and ends the store's subscription. The connection stays open. */
  close(): Promise<void> {
    return this.sessions.close();
  }

  /** See `rotate`, which finds the store of a request by itself. */
  async rotate(req: Request): Promise<void> {
    const { session: before, sessionID: id } = req;
    this.generate(req);
    const { session: after, sessionID: newId } = req;
    Object.assign(after, before);
    let moved = false;
    try {
      moved = await this.#turns.run(before, () => this.#rotate(before, id, after, newId));
    } finally {
      // Under the new id a session that is gone would begin anew.
      if (!moved) Object.assign(req, { session: before, sessionID: id });
    }
  }

  /** Added by express-session: puts a new session with a new id into the request. */
  declare generate: (req: Request) => void;

  /** Called by express-session for each session that it loads or reloads: hands the revision on. */
  override createSession(req: Request, data: SessionData): session.Session & SessionData {
    const created = super.createSession(req, data);
    const loaded = this.#loaded.get(data);
    if (loaded) this.#loaded.set(created, loaded);
    return created;
  }

  async #get(id: string): Promise<SessionData | null> {
    const record = await this.sessions.load(id);
    return record && this.#given(record, id);
  }

  async #set(id: string, session: SessionData): Promise<void> {
    const loaded = this.#loadedOf(id, session);
    const stored = toStored(session, loaded?.cookie);
    const saving = this.sessions.save(id, stored, {
      record: loaded?.record,
      source: session,
      ttl: lifeOf,
    });
    const { record } = await (loaded ? saving : this.#whileCreating(id, saving));
    if (record) this.#loaded.set(session, { id, record, cookie: stored.cookie });
    else this.#tellGone(id, "save");
  }

  async #rotate(before: SessionData, id: string, after: SessionData, newId: string): Promise<boolean> {
    const loaded = this.#loadedOf(id, before);
    if (!loaded) {
      // It was never stored: there is no old id to end.
      await this.#set(newId, after);
      return true;
    }
    const stored = toStored(after, loaded.cookie);
    const options = { record: loaded.record, source: before, newSource: after, ttl: lifeOf };
    const { record } = await this.sessions.rotate(id, newId, stored, options);
    if (record) this.#loaded.set(after, { id: newId, record, cookie: stored.cookie });
    else this.#tellGone(id, "save");
    return record !== null;
  }

  #isTouchNeedless(id: string, session: SessionData): boolean {
    const loaded = this.#loadedOf(id, session);
    return (
      loaded !== undefined &&
      this.#turns.isFree(session) &&
      isSameCookie(loaded.cookie, session) &&
      !this.sessions.isTouchDue(loaded.record, { ttl: lifeOf(loaded.record.data) })
    );
  }

  async #touch(id: string, session: SessionData): Promise<void> {
    const loaded = this.#loadedOf(id, session) ?? (await this.#load(id));
    if (!loaded) return;
    // express-session leaves the cookie out of its check for changes, so a new maxAge comes as a touch.
    if (!isSameCookie(loaded.cookie, session)) return this.#set(id, session);
    // Of the cookie that is stored: after a merge it may be another request's.
    const { record } = await this.sessions.touch(id, loaded.record, { ttl: lifeOf(loaded.record.data) });
    if (record) this.#loaded.set(session, { id, record, cookie: loaded.cookie });
    else this.#tellGone(id, "touch");
  }

  async #destroy(id: string): Promise<void> {
    // What is being created by a save that nobody waited for is to be found.
    await this.#creating.get(id)?.catch(() => {});
    await this.sessions.destroy(id);
  }

  async #whileCreating<T>(id: string, saving: Promise<T>): Promise<T> {
    this.#creating.set(id, saving);
    try {
      return await saving;
    } finally {
      if (this.#creating.get(id) === saving) this.#creating.delete(id);
    }
  }

  async #all(): Promise<SessionData[]> {
    const list: SessionData[] = [];
    for await (const record of this.sessions.all())
      if (hasCookie(record.data)) list.push(this.#given(record, undefined));
    return list;
  }

  /** A record's data as express-session is to see them; of a listed one there is no id. */
  #given(record: SessionRecord<SessionData>, id: string | undefined): SessionData {
    const { data } = record;
    if (!hasCookie(data)) {
      throw new SessionStoreError(
        "ERR_SESSION_CORRUPT",
        "The stored session has no cookie: it was not written by express-session.",
      );
    }
    if (id !== undefined) this.#loaded.set(data, { id, record, cookie: { ...data.cookie } });
    restoreExpiry(data.cookie, record.expiresAt);
    return data;
  }

  async #load(id: string): Promise<Loaded | undefined> {
    const record = await this.sessions.load(id);
    return record ? this.#loaded.get(this.#given(record, id)) : undefined;
  }

  /** What is known of the session object, unless it is being stored under another id than it came from. */
  #loadedOf(id: string, session: SessionData): Loaded | undefined {
    const loaded = this.#loaded.get(session);
    return loaded?.id === id ? loaded : undefined;
  }

  /** The record of what is gone is kept: a later save of the same object must not begin the session anew. */
  #tellGone(id: string, operation: GoneEvent["operation"]): void {
    const event: GoneEvent = { handle: this.sessions.handleOf(id), operation };
    this.emit("gone", event);
  }

  /**
   * express-session calls `destroy` without a callback for `req.session.destroy()`, and drops the promise. That
   * must not end the process; the error is told to whoever listens for it.
   */
  #answerOrTell(promise: Promise<void>, callback: Callback | undefined): Promise<void> | undefined {
    if (!callback) {
      promise.catch((error) => {
        if (this.listenerCount("error") > 0) this.emit("error", error);
      });
    }
    return answer(promise, callback);
  }
}

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
