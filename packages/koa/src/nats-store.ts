import { EventEmitter } from "node:events";
import type { SessionStore } from "nats-session-store";
import {
  AdapterKit,
  checkSession,
  type GoneEvent,
  HeldSession,
  type SessionSource,
} from "nats-session-store/adapter";
import { migrationFrom } from "./migrate-from.js";
import type { NatsStoreOptions } from "./options.js";
import { fromStored, type KoaSessionData, toStored, ttlOfStored } from "./stored.js";

/** What koa-session passes to every call of a store. */
export interface CallOptions {
  /** The Koa context of the request. */
  // biome-ignore lint/suspicious/noExplicitAny: as koa-session declares it
  ctx?: any;
  rolling?: boolean;
  changed?: boolean;
}

/** The events of the store with their arguments. */
export interface NatsStoreEvents {
  gone: [event: GoneEvent];
  error: [error: Error];
}

/**
 * Sessions of koa-session in NATS, for its option `store`.
 *
 * Event: `gone` for a save of a session that was ended elsewhere.
 *
 * @example
 * const store = new NatsStore(nc, { ttl: 86_400_000 });
 * app.use(session({ store }, app));
 */
export class NatsStore extends EventEmitter<NatsStoreEvents> {
  readonly #kit: AdapterKit<KoaSessionData>;

  /** Requests whose session ends with the browser, whatever its key and whatever a merge has stored. */
  readonly #browserSessions = new WeakSet<object>();

  /**
   * @param source a connection, a promise of one, a function that connects, or a `SessionStore`, which several
   * adapters can share
   * @throws TypeError for a bad option
   */
  constructor(source: SessionSource, { migrateFrom, ...options }: NatsStoreOptions = {}) {
    super();
    this.#kit = new AdapterKit(source, options, this, migrateFrom && migrationFrom(migrateFrom));
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
  get sessions(): SessionStore<KoaSessionData> {
    return this.#kit.sessions;
  }

  /** Resolves when the bucket is open; rejects with the reason why it cannot be opened now. */
  ready(): Promise<void> {
    return this.sessions.ready();
  }

  /** The session's data, or `null` when the server says that there is none. An outage is an error. */
  async get(key: string, _maxAge?: unknown, options?: CallOptions): Promise<KoaSessionData | null> {
    const ctx = contextOf(options);
    const record = await this.#kit.operations.load(key);
    if (!record) return null;
    const data = fromStored(record.data, record.expiresAt);
    if (ctx) {
      this.#kit.hold(new HeldSession(key, record), ctx);
      this.#noteBrowserSession(ctx, data._session === true);
    }
    return data;
  }

  /**
   * Stores the session. Unchanged data only renew it, whatever koa-session says of `changed`; a session that was
   * ended elsewhere since it was loaded stays ended.
   *
   * @param maxAge ms, or `"session"`; without one the store's `ttl` counts
   */
  async set(key: string, data: KoaSessionData, maxAge?: unknown, options?: CallOptions): Promise<void> {
    checkSession(data);
    const ctx = contextOf(options);
    const held = this.#kit.heldBy(key, ctx ?? data) ?? new HeldSession(key, undefined, ctx !== undefined);
    this.#kit.hold(held, ctx ?? data);
    await held.run(() => {
      const endsWithBrowser = data._session === true || (ctx !== undefined && this.#hasLostMaxAge(ctx));
      if (ctx) this.#noteBrowserSession(ctx, endsWithBrowser);
      const stored = toStored(data, endsWithBrowser);
      return this.#kit.save(held, stored, (final) => ttlOfStored(final, stored, maxAge));
    });
  }

  /** Ends the session for good, whatever other requests write. */
  async destroy(key: string, options?: CallOptions): Promise<void> {
    const ctx = contextOf(options);
    const held = ctx && this.#kit.heldBy(key, ctx);
    if (!held) {
      await this.#kit.operations.destroy(key);
      return;
    }
    await held.run(async () => {
      await this.#kit.operations.destroy(key);
      // The request that ended the session may begin one under the same key.
      held.record = undefined;
    });
  }

  /** Waits for running operations. The connection stays open, and so does a `SessionStore` that was given. */
  close(): Promise<void> {
    return this.#kit.close();
  }

  #noteBrowserSession(ctx: object, endsWithBrowser: boolean): void {
    if (endsWithBrowser) this.#browserSessions.add(ctx);
    else this.#browserSessions.delete(ctx);
  }

  /**
   * After saving a session that ends with the browser, koa-session forgets that it does: a second save by the same
   * request comes with a maxAge of a day. That no maxAge is set in its options tells the two apart.
   */
  #hasLostMaxAge(ctx: { sessionOptions?: { maxAge?: unknown } }): boolean {
    return (
      this.#browserSessions.has(ctx) &&
      ctx.sessionOptions !== undefined &&
      ctx.sessionOptions.maxAge === undefined
    );
  }
}

function contextOf(options: CallOptions | undefined): object | undefined {
  const ctx: unknown = options?.ctx;
  return typeof ctx === "object" && ctx !== null ? ctx : undefined;
}
