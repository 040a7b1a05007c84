import { AsyncLocalStorage } from "node:async_hooks";
import type { SessionData } from "express-session";
import { type SessionRecord, SessionStoreError } from "nats-session-store";
import { type AdapterKit, checkSession, unmarked } from "nats-session-store/adapter";
import { hasCookie, prepareCookie, storedCookieOf, toStored, ttlOf } from "./cookie.js";
import { HeldExpressSession as Held } from "./held-session.js";

/** What became of the load that a request began with. */
interface RequestLoad {
  readonly id: string;
  held?: Held | undefined;
  error?: unknown;
}

/** Finds the session that an object of the host holds, and carries out the host's operations on it. */
export class RequestSessions {
  readonly #kit: AdapterKit<SessionData, Held>;

  /** The load of the request whose code runs now, where that is remembered. */
  readonly #request = new AsyncLocalStorage<RequestLoad | undefined>();
  /** Whether each request's load is remembered, for a host that copies the data. */
  #isCopied = false;
  /** How many requests whose load failed may still run code. */
  #failedLoads = 0;
  /** Before Node 24 a storage in use makes each promise of the process dearer, so the last of them turns it off. */
  readonly #collected = new FinalizationRegistry<undefined>(() => {
    this.#failedLoads--;
    if (this.#failedLoads === 0 && !this.#isCopied) this.#request.disable();
  });

  constructor(kit: AdapterKit<SessionData, Held>) {
    this.#kit = kit;
  }

  /**
   * The session's data, which hold the session. Some hosts (@fastify/session, express-openid-connect) copy the data
   * and save an object of their own: for them the request holds the session, known by its async context.
   *
   * @param isCopied whether the host copies the data
   */
  async load(id: string, isCopied: boolean): Promise<SessionData | null> {
    const request: RequestLoad = { id };
    if (isCopied) {
      this.#isCopied = true;
      this.#request.enterWith(request);
    }
    try {
      const record = await this.#kit.operations.load(id);
      if (!record) return null;
      request.held = this.#hold(id, record);
      return record.data;
    } catch (error) {
      request.error = error;
      throw error;
    }
  }

  /**
   * Runs what a request does after its load has failed: see `takeFailedLoad`. express-session names neither the request
   * nor the response when it asks for the end of a session, so they can be told apart by their async context alone.
   */
  afterFailedLoad(id: string, error: unknown, run: () => void): void {
    const request: RequestLoad = { id, error };
    this.#failedLoads++;
    this.#collected.register(request, undefined);
    this.#request.run(request, run);
  }

  /** Runs something that was asked for by a request that has the session. */
  withSession<R>(run: () => R): R {
    return this.#request.getStore() ? this.#request.run(undefined, run) : run();
  }

  /** Why the request whose code runs now could not load the session. Told once: a second try is meant. */
  takeFailedLoad(id: string): unknown {
    const request = this.#requestOf(id);
    const error = request?.error;
    if (request) request.error = undefined;
    return error;
  }

  /** A session that begins in its request and is not stored. */
  begin(id: string, session: SessionData): void {
    this.#kit.hold(new Held(id, undefined, true), session, session.cookie);
  }

  /** Whether the session began in this request and nothing of it was written. */
  isNew(id: string, session: SessionData): boolean {
    return this.#heldBy(id, session)?.isNew === true;
  }

  /** Lets a session that express-session made of loaded data hold what the data hold. */
  adopt(id: string, data: SessionData, session: SessionData): void {
    const held = this.#kit.heldBy(id, data);
    // A Proxy of the session, or a copy of its keys, still has this cookie.
    if (held) this.#kit.hold(held, session, session.cookie);
  }

  save(id: string, session: SessionData): Promise<void> {
    try {
      return this.#save(id, session);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #save(id: string, session: SessionData): Promise<void> {
    checkSession(session);
    const known = this.#heldBy(id, session);
    const request = known ? undefined : this.#requestOf(id);
    const failedLoad = request && this.takeFailedLoad(id);
    if (failedLoad !== undefined) throw failedLoad;
    const held = known ?? request?.held ?? new Held(id);
    if (request) request.held = held;
    else this.#kit.hold(held, session);
    return held.run(() => {
      const stored = toStored(session, held.cookie);
      return this.#kit.save(held, stored, ttlOf).then((isStored) => {
        if (isStored) held.saved(stored.cookie);
      });
    });
  }

  /** Whether a touch has nothing to write. Never throws: the touch then rejects for the same reason. */
  isTouchNeedless(id: string, session: SessionData): boolean {
    try {
      const held = this.#heldBy(id, session);
      return !!held?.isIdle && !held.isCookieChanged(session) && !this.#kit.isTouchDue(held, held.ttl);
    } catch {
      return false;
    }
  }

  async touch(id: string, session: SessionData): Promise<void> {
    checkSession(session);
    // Throws for a cookie without a valid time.
    ttlOf(session);
    const held = this.#heldBy(id, session) ?? (await this.#load(id, session));
    await held?.run(async () => {
      // express-session leaves the cookie out of its check for changes, so a new maxAge comes as a touch.
      if (held.isCookieChanged(session)) await this.#saveCookie(held, session);
      else await this.#kit.touch(held, held.ttl);
    });
  }

  async destroy(id: string): Promise<void> {
    const request = this.#requestOf(id);
    await this.#kit.operations.destroy(id);
    // The request that ended it may begin a session under the same id.
    if (request) request.held = undefined;
  }

  /** @returns whether the session is stored under its new id */
  async rotate(id: string, before: SessionData, newId: string, after: SessionData): Promise<boolean> {
    const held = this.#heldBy(id, before) ?? new Held(id);
    const next = new Held(newId, undefined, true);
    this.#kit.hold(next, after);
    const rotate = async () => {
      const stored = toStored(after, held.cookie);
      if (!(await this.#kit.rotate(held, next, stored, ttlOf))) return false;
      next.saved(stored.cookie);
      this.#kit.hold(next, after.cookie);
      return true;
    };
    return held.run(() => next.run(rotate));
  }

  async all(): Promise<SessionData[]> {
    const list: SessionData[] = [];
    for await (const { data: stored, expiresAt } of this.#kit.sessions.all()) {
      const { data } = unmarked(stored);
      if (!hasCookie(data)) continue;
      prepareCookie(data, expiresAt);
      list.push(data);
    }
    return list;
  }

  /** Stores a changed cookie with the data as they were stored: the request may have changed its own. */
  async #saveCookie(held: Held, session: SessionData): Promise<void> {
    const cookie = storedCookieOf(session);
    const { id, record: before } = held;
    if (!before) return;
    const record = await this.#kit.operations.reread(before);
    const data = { ...record.data, cookie: cookie as unknown as SessionData["cookie"] };
    if (!(await this.#kit.save(new Held(id, record), data, ttlOf))) return;
    held.cookie = cookie;
    held.storedCookie = cookie;
  }

  async #load(id: string, session: SessionData): Promise<Held | undefined> {
    const record = await this.#kit.operations.load(id);
    const held = record && this.#hold(id, record);
    if (held) this.#kit.hold(held, session);
    return held ?? undefined;
  }

  #hold(id: string, record: SessionRecord<SessionData>): Held {
    const { data, expiresAt } = record;
    if (!hasCookie(data)) {
      const why = "The stored session has no cookie: express-session did not write it.";
      throw new SessionStoreError("ERR_SESSION_CORRUPT", why);
    }
    const held = new Held(id, record);
    held.cookie = prepareCookie(data, expiresAt);
    held.storedCookie = held.cookie;
    this.#kit.hold(held, data);
    return held;
  }

  #heldBy(id: string, session: SessionData | undefined): Held | undefined {
    return this.#kit.heldBy(id, session, session?.cookie);
  }

  #requestOf(id: string): RequestLoad | undefined {
    const request = this.#request.getStore();
    return request?.id === id ? request : undefined;
  }
}
