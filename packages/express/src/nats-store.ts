import session, { type SessionData } from "express-session";
import { type SessionStore, SessionStoreError } from "nats-session-store";
import {
  type AdapterEvents,
  AdapterKit,
  checkSession,
  nextTick,
  type SessionSource,
} from "nats-session-store/adapter";
import { answer, type Callback } from "./callback.js";
import type { HeldExpressSession } from "./held-session.js";
import { holdResponse } from "./hold-response.js";
import { migrationFrom } from "./migrate-from.js";
import { longestHold, type NatsStoreOptions } from "./options.js";
import { RequestSessions } from "./request-sessions.js";

type Request = Parameters<session.Store["createSession"]>[0];

/** The events of the store with their arguments. */
export type NatsStoreEvents = AdapterEvents;

/** Typed listeners; other events, such as express-session's own `connect`, are as any emitter's. */
export interface NatsStore {
  on<E extends keyof NatsStoreEvents>(event: E, listener: (...args: NatsStoreEvents[E]) => void): this;
  on(event: string | symbol, listener: (...args: never[]) => void): this;
  once<E extends keyof NatsStoreEvents>(event: E, listener: (...args: NatsStoreEvents[E]) => void): this;
  once(event: string | symbol, listener: (...args: never[]) => void): this;
}

/**
 * Sessions of express-session in NATS. Every method takes a callback, as express-session calls them, or returns a
 * promise without one.
 *
 * Events: `gone` for a write to a session that was ended elsewhere. `error`, if there is a listener, for a failed
 * write without a callback, and for a destroy that was refused because its request could not load the session.
 *
 * @example
 * const store = new NatsStore(nc, { ttl: 86_400_000 });
 * app.use(session({ secret, resave: false, saveUninitialized: false, store }));
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the interface only narrows the types of inherited methods
export class NatsStore extends session.Store {
  readonly #kit: AdapterKit<SessionData, HeldExpressSession>;
  readonly #requests: RequestSessions;
  readonly #longestHold: number | undefined;
  readonly #methods: PropertyDescriptorMap;
  #generate: ((req: Request) => void) | undefined;

  /**
   * @param source a connection, a promise of one, a function that connects, or a `SessionStore`, which several
   * adapters can share
   * @throws TypeError for a bad option
   */
  constructor(
    source: SessionSource,
    { holdResponse = true, migrateFrom, ...options }: NatsStoreOptions = {},
  ) {
    super();
    this.#longestHold = longestHold(holdResponse);
    this.#kit = new AdapterKit(source, options, this, migrateFrom && migrationFrom(migrateFrom));
    const requests = new RequestSessions(this.#kit);
    this.#requests = requests;
    const { destroy, reload } = session.Session.prototype;
    const destroyHeld = function (this: session.Session, callback: Callback) {
      return requests.withSession(() => destroy.call(this, callback));
    };
    // Where it fails the request has its session all the same, and may end it in any way.
    const reloadHeld = function (this: session.Session, callback: Callback) {
      return reload.call(this, (error) => requests.withSession(() => callback(error)));
    };
    const hidden = { configurable: true, writable: true };
    this.#methods = { destroy: { value: destroyHeld, ...hidden }, reload: { value: reloadHeld, ...hidden } };
  }

  /**
   * A store that is open: `new NatsStore` and `ready()`.
   * @throws what the constructor throws and `ready()` rejects with
   */
  static async open(source: SessionSource, options?: NatsStoreOptions): Promise<NatsStore> {
    const store = new NatsStore(source, options);
    try {
      await store.ready();
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  /** The store of the core: records, listings by user, changes, counts. */
  get sessions(): SessionStore<SessionData> {
    return this.#kit.sessions;
  }

  /** Resolves when the bucket is open; rejects with the reason why it cannot be opened now. */
  ready(): Promise<void> {
    return this.sessions.ready();
  }

  /** The session's data, or `null` when the server says that there is none. An outage is an error. */
  override get(id: string): Promise<SessionData | null>;
  override get(id: string, callback: Callback<SessionData | null>): void;
  override get(id: string, callback?: Callback<SessionData | null>): Promise<SessionData | null> | undefined {
    if (typeof callback !== "function") return this.#requests.load(id, false);
    this.#requests.load(id, this.#generate === undefined).then(
      (data) => nextTick(callback, null, data),
      (error) => this.#requests.afterFailedLoad(id, error, () => nextTick(callback, error)),
    );
    return undefined;
  }

  /** Stores the session. One that was ended elsewhere since it was loaded stays ended. */
  override set(id: string, session: SessionData, callback?: Callback): Promise<void> | undefined {
    const held = callback && holdResponse(session, callback, this.#longestHold);
    return this.#answer(this.#requests.save(id, session), held);
  }

  /** Renews the session, and stores a changed cookie at once. It never stores other data. */
  override touch(id: string, session: SessionData, callback?: Callback): Promise<void> | undefined {
    if (typeof callback === "function" && this.#requests.isTouchNeedless(id, session)) {
      // Before Node sends the first part of the response, which waits for the next tick: both leave in one write.
      nextTick(callback, null);
      return undefined;
    }
    const held = callback && holdResponse(session, callback, this.#longestHold);
    return this.#answer(this.#requests.touch(id, session), held);
  }

  /**
   * Ends the session for good, whatever other requests write. A call with a callback, as hosts make it, is refused
   * where the request could not load the session.
   */
  override destroy(id: string, callback?: Callback): Promise<void> | undefined {
    const cause = callback && this.#requests.takeFailedLoad(id);
    if (cause === undefined) return this.#answer(this.#requests.destroy(id), callback);
    // With `unset: "destroy"` express-session takes a session that could not be loaded for one that was removed.
    const { code = "ERR_SESSION_UNAVAILABLE" } = cause as Partial<SessionStoreError>;
    const why = "The session was not ended, because the request could not load it.";
    this.#emitError(new SessionStoreError(code, why, cause));
    // express-session has reported the failed load already; other hosts have not.
    return this.#answer(this.#generate ? Promise.resolve() : Promise.reject(cause), callback);
  }

  /** The data of all live sessions of express-session, as one list; `sessions.all()` reads them in batches. */
  override all(): Promise<SessionData[]>;
  override all(callback: Callback<SessionData[]>): void;
  override all(callback?: Callback<SessionData[]>): Promise<SessionData[]> | undefined {
    return answer(this.#requests.all(), callback);
  }

  /** How many sessions are live; `sessions.count()` is an estimate in constant time. */
  override length(): Promise<number>;
  override length(callback: Callback<number>): void;
  override length(callback?: Callback<number>): Promise<number> | undefined {
    return answer(this.sessions.count({ exact: true }), callback);
  }

  /** Ends all sessions. */
  override clear(callback?: Callback): Promise<void> | undefined {
    return this.#answer(this.sessions.clear(), callback);
  }

  /** Waits for running operations. The connection stays open, and so does a `SessionStore` that was given. */
  close(): Promise<void> {
    return this.#kit.close();
  }

  /** See `rotate`, which finds the store of a request by itself. */
  async rotate(req: Request): Promise<void> {
    const { session: before, sessionID: id } = req;
    checkSession(before);
    this.generate(req);
    const { session: after, sessionID: newId } = req;
    Object.assign(after, before);
    let isStored = false;
    try {
      isStored = await this.#requests.rotate(id, before, newId, after);
    } finally {
      // Under the new id a session that is gone would begin again.
      if (!isStored) Object.assign(req, { session: before, sessionID: id });
    }
  }

  /** Puts a new session with a new id into the request. Set by express-session, when its middleware is made. */
  get generate(): (req: Request) => void {
    return this.#generate ?? missingGenerate;
  }

  set generate(generate: (req: Request) => void) {
    this.#generate = (req) => {
      generate(req);
      this.#requests.begin(req.sessionID, req.session);
      Object.defineProperties(req.session, this.#methods);
    };
  }

  /** Called by `req.session.regenerate()`: a session that was never stored needs no end. */
  override regenerate(req: Request, callback: (error?: unknown) => void): void {
    const { sessionID: id } = req;
    if (!this.#requests.isNew(id, req.session)) {
      this.#requests.withSession(() => super.regenerate(req, callback));
      return;
    }
    this.generate(req);
    // A `genid` that repeats its ids: there may be a session of another request.
    if (req.sessionID === id) this.destroy(id, callback);
    else nextTick(callback);
  }

  /** Called by express-session for each session that it loads or reloads. */
  override createSession(req: Request, data: SessionData): session.Session & SessionData {
    const created = super.createSession(req, data);
    this.#requests.adopt(req.sessionID, data, created);
    Object.defineProperties(created, this.#methods);
    return created;
  }

  /**
   * `req.session.destroy()` calls `destroy` without a callback and drops the promise. A rejection must not end the
   * process then.
   */
  #answer(promise: Promise<void>, callback: Callback | undefined): Promise<void> | undefined {
    if (typeof callback !== "function") promise.catch((error) => this.#emitError(error));
    return answer(promise, callback);
  }

  #emitError(error: Error): void {
    if (this.listenerCount("error") > 0) this.emit("error", error);
  }
}

function missingGenerate(): never {
  throw new TypeError("Expected the store to be used by express-session");
}
