import { EventEmitter } from "node:events";
import {
  type ChangeEvents,
  emitChanges,
  type NatsConnectionLike,
  openSessionStore,
  type SessionRecord,
  type SessionStore,
  type SessionStoreOptions,
  type SessionStoreSource,
  sessionStoreFrom,
  Turns,
} from "nats-session-store";
import { asBrowserSession, type KoaSessionData, lifeOfStored, toStored } from "./life.js";

/** What koa-session passes to every call of a store. */
export interface CallOptions {
  /** The Koa context of the request. */
  // biome-ignore lint/suspicious/noExplicitAny: as koa-session declares it
  ctx?: any;
  rolling?: boolean;
  changed?: boolean;
}

/** Told by the event `gone`: a session that was ended elsewhere was to be written, and stays ended. */
export interface GoneEvent {
  /** The session's public name. */
  readonly handle: string;
  readonly operation: "save";
}

/** The events of the store with their arguments. */
export interface NatsStoreEvents extends ChangeEvents {
  gone: [event: GoneEvent];
  error: [error: Error];
}

/**
 * Sessions of koa-session in NATS, for its option `store`.
 *
 * Events: `gone` ({@link GoneEvent}); `created`, `updated`, `touched`, `destroyed`, `expired` and `missed`, made by
 * any process (see `sessions.changes()`); `error` for a feed of those that fails.
 *
 * @example
 * const store = await NatsStore.open(nc, { ttl: 86_400_000 });
 * app.use(session({ store }, app));
 */
export class NatsStore extends EventEmitter<NatsStoreEvents> {
  /** The store that this one stands on: records, revisions, handles, iteration over all sessions. */
  readonly sessions: SessionStore<KoaSessionData>;

  /** Keyed by the Koa context: a request has one session at a time. */
  readonly #loaded = new WeakMap<object, SessionRecord<KoaSessionData>>();

  /** Requests that hold a session which ends with the browser, whatever its key and whatever a merge has stored. */
  readonly #browserSessions = new WeakSet<object>();

  /** Writes of one request, in the order they were asked for. */
  readonly #turns = new Turns();

  /** @param source a store of `openSessionStore`, a promise of one, or a function that opens one */
  constructor(source: SessionStoreSource<KoaSessionData>) {
    super();
    this.sessions = sessionStoreFrom(source);
    emitChanges(this, () => this.sessions.changes());
  }

  /** Opens the store; options and errors are those of `openSessionStore`. */
  static async open(
    nc: NatsConnectionLike | PromiseLike<NatsConnectionLike>,
    options?: SessionStoreOptions,
  ): Promise<NatsStore> {
    return new NatsStore(await openSessionStore<KoaSessionData>(nc, options));
  }

  /** The session's data, or `null` when the server says that there is none. An outage is an error. */
  async get(key: string, _maxAge?: unknown, { ctx }: CallOptions = {}): Promise<KoaSessionData | null> {
    const record = await this.sessions.load(key);
    if (!record) return null;
    this.#remember(ctx, record);
    this.#noteBrowserSession(ctx, record.data._session === true);
    // koa-session checks this time itself; the true one is the store's, which touches have moved.
    return record.data._session ? record.data : { ...record.data, _expire: record.expiresAt };
  }

  /**
   * Stores the session. Unchanged data only renew its life, whatever koa-session says of `changed`; a session
   * that was destroyed elsewhere since it was loaded stays destroyed.
   *
   * @param maxAge ms, `"session"` or nothing
   */
  set(key: string, data: KoaSessionData, maxAge?: unknown, { ctx }: CallOptions = {}): Promise<void> {
    return this.#turns.run(isObject(ctx) ? ctx : data, () => this.#set(key, data, maxAge, ctx));
  }

  /** Ends the session for good, whoever else is writing it. */
  destroy(key: string, { ctx }: CallOptions = {}): Promise<void> {
    return isObject(ctx) ? this.#turns.run(ctx, () => this.#destroy(key, ctx)) : this.#destroy(key, ctx);
  }

  /** Waits for what is under way and ends the store's subscription. The connection stays open. */
  close(): Promise<void> {
    return this.sessions.close();
  }

  async #set(key: string, data: KoaSessionData, maxAge: unknown, ctx: CallOptions["ctx"]): Promise<void> {
    const endsWithBrowser = data._session === true || (this.#browserSessions.has(ctx) && isUnset(ctx));
    this.#noteBrowserSession(ctx, endsWithBrowser);
    const stored = endsWithBrowser ? asBrowserSession(toStored(data)) : toStored(data);
    const { record } = await this.sessions.save(key, stored, {
      record: this.#loadedOf(key, ctx),
      source: isObject(ctx) ? ctx : data,
      ttl: (final) => lifeOfStored(final, stored, maxAge),
      touchUnchanged: true,
    });
    // The record of what is gone is kept: a later save in the request must not begin the session anew.
    if (record) this.#remember(ctx, record);
    else this.emit("gone", { handle: this.sessions.handleOf(key), operation: "save" } satisfies GoneEvent);
  }

  async #destroy(key: string, ctx: CallOptions["ctx"]): Promise<void> {
    await this.sessions.destroy(key);
    // The request that ended it may begin a new one under the same key.
    if (this.#loadedOf(key, ctx)) this.#loaded.delete(ctx);
  }

  #remember(ctx: unknown, record: SessionRecord<KoaSessionData>): void {
    if (isObject(ctx)) this.#loaded.set(ctx, record);
  }

  #noteBrowserSession(ctx: unknown, endsWithBrowser: boolean): void {
    if (!isObject(ctx)) return;
    if (endsWithBrowser) this.#browserSessions.add(ctx);
    else this.#browserSessions.delete(ctx);
  }

  /** What is known of the request's session, unless it has another key by now (after `regenerate`). */
  #loadedOf(key: string, ctx: unknown): SessionRecord<KoaSessionData> | undefined {
    const record = isObject(ctx) ? this.#loaded.get(ctx) : undefined;
    return record && this.sessions.isOf(key, record) ? record : undefined;
  }
}

/**
 * After saving a session that ends with the browser, koa-session forgets that it does (lib/context, `save`): a
 * second save in the same request comes as one for a day. Nobody having set a maxAge meanwhile tells the two
 * apart.
 */
function isUnset(ctx: { sessionOptions?: { maxAge?: unknown } } | undefined): boolean {
  return ctx?.sessionOptions !== undefined && ctx.sessionOptions.maxAge === undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
