import { Migration, type SessionOperations } from "./migration/migration.js";
import { coreStore, coreStoreIn, frameworkStore, type OldStoreForm } from "./migration/old-store.js";
import { checkMigrateFrom, type MigrateFrom } from "./migration/options.js";
import type { SessionStoreOptions } from "./options.js";
import { SessionStore } from "./store.js";
import type { NatsConnectionSource, SessionRecord } from "./types.js";
import { objectLinks } from "./util/object-links.js";
import { SerialQueue } from "./util/serial-queue.js";

export { unmarked } from "./format/migration-mark.js";
export type { OldSession, OldStoreForm } from "./migration/old-store.js";
export type { MigrateFrom, MigrationPhase } from "./migration/options.js";
export { clearTimeout, nextTick, setTimeout } from "./util/timers.js";

/** A write met a session that was ended elsewhere. The session stays ended and nothing was stored. */
export interface GoneEvent {
  /** The session's public name. */
  readonly handle: string;
  readonly operation: "save" | "touch";
}

/** The events of an adapter with their arguments. */
export interface AdapterEvents {
  gone: [event: GoneEvent];
  error: [error: Error];
}

/**
 * What an adapter is constructed with: a connection, a promise of one, a function that connects, or a store of the
 * core, so that two frameworks can share one.
 */
// biome-ignore lint/suspicious/noExplicitAny: a shared store holds the data of several frameworks
export type SessionSource = NatsConnectionSource | SessionStore<any>;

/** Time to live (ms) that a session's data ask for; `undefined` = the store's `ttl`, zero or less = ended. */
export type TtlOf<T> = (data: T) => number | undefined;

/** The part of an event emitter that the kit needs. */
interface Emitter {
  emit(event: "gone", argument: GoneEvent): boolean;
}

/**
 * One session in the hands of one request: the record that its next write continues, and a queue of its writes. A
 * request may have several objects for it (the loaded data, the framework's session, its cookie).
 */
export class HeldSession<T extends object> extends SerialQueue {
  /** Undefined for a session that has not been stored yet. */
  record: SessionRecord<T> | undefined;

  /** @param isNew whether the session begins in this request, and nothing of it was written yet */
  constructor(
    readonly id: string,
    record?: SessionRecord<T>,
    public isNew = false,
  ) {
    super();
    this.record = record;
  }
}

/** A store that sessions move in from, and how an adapter works with it. */
export interface KitMigration<S extends object> {
  readonly option: MigrateFrom<object>;
  readonly form: OldStoreForm<S>;
  /** What is compared of a key's value, to see whether it has changed. */
  comparable(key: string, value: unknown): unknown;
}

/** What the adapters of all frameworks share: a store, and which object of a framework holds which session. */
export class AdapterKit<T extends object, H extends HeldSession<T> = HeldSession<T>> {
  readonly sessions: SessionStore<T>;
  /** Loads, writes and ends single sessions, in the old store too while they move in from there. */
  readonly operations: SessionOperations<T>;
  readonly #isOwn: boolean;
  readonly #emitter: Emitter;
  readonly #held = objectLinks<H>();

  /**
   * @param emitter emits `gone`
   * @throws TypeError for a bad option, and for options beside a store, which has its own
   */
  constructor(
    source: SessionSource,
    options: SessionStoreOptions,
    emitter: Emitter,
    // biome-ignore lint/suspicious/noExplicitAny: the stores of any framework
    migration?: KitMigration<any>,
  ) {
    this.#isOwn = !(source instanceof SessionStore);
    this.sessions = storeFrom(source, options);
    this.operations = migration ? operationsOf(this.sessions, migration) : this.sessions;
    this.#emitter = emitter;
  }

  /** Remembers that these objects hold the session. */
  hold(held: H, ...objects: readonly object[]): void {
    for (const object of objects) this.#held.set(object, held);
  }

  /** What these objects, the first that is known, hold of the session with this id. */
  heldBy(id: string, ...objects: readonly unknown[]): H | undefined {
    for (const object of objects) {
      const held = this.#held.get(object);
      if (held?.id === id) return held;
    }
    return undefined;
  }

  /**
   * Saves on top of the record that is held, and keeps the new one; unchanged data only renew the session. The record
   * of a session that is gone is kept too: a later save by the same request must not create the session again.
   *
   * @returns whether the session is stored
   */
  save(held: H, data: T, ttl: TtlOf<T>): Promise<boolean> {
    const mayExist = !held.isNew;
    held.isNew = false;
    if (isEnd(data, ttl)) return this.#end(held);
    const { id, record } = held;
    return this.operations
      .save(id, data, { record, source: held, ttl, touchUnchanged: true, mayExist })
      .then((saved) => this.#keep(held, saved.record, "save"));
  }

  /** Whether `touch` would write. False only where the session is live and was written a moment ago. */
  isTouchDue({ record }: H, ttl: number | undefined): boolean {
    return record === undefined || this.sessions.isTouchDue(record, { ttl });
  }

  /** Renews the session's expiry; does nothing for a session that is not stored. */
  async touch(held: H, ttl: number | undefined): Promise<void> {
    if (!held.record) return;
    const { record } = await this.operations.touch(held.id, held.record, { ttl });
    this.#keep(held, record, "touch");
  }

  /**
   * Ends the session under its old id and stores it under the new one.
   * @returns whether it is stored
   */
  async rotate(held: H, next: H, data: T, ttl: TtlOf<T>): Promise<boolean> {
    // A session that was never stored has no old id to end.
    if (!held.record) return this.save(next, data, ttl);
    next.isNew = false;
    if (isEnd(data, ttl)) return this.#end(held);
    const { record } = await this.operations.rotate(held.id, next.id, data, {
      record: held.record,
      source: held,
      newSource: next,
      ttl,
    });
    if (record) next.record = record;
    else this.emitGone(held.id, "save");
    return record !== null;
  }

  /** Emits `gone` for a session that a write found ended. */
  emitGone(id: string, operation: GoneEvent["operation"]): void {
    this.#emitter.emit("gone", { handle: this.sessions.handleOf(id), operation });
  }

  /** Closes the store, unless it was given: then its owner closes it. */
  async close(): Promise<void> {
    if (this.#isOwn) await this.sessions.close();
  }

  /** A session that ends itself, by a maxAge of zero, is not `gone`: that is what its request wanted. */
  async #end({ id }: H): Promise<false> {
    await this.operations.destroy(id);
    return false;
  }

  #keep(held: H, record: SessionRecord<T> | null, operation: GoneEvent["operation"]): boolean {
    if (record) held.record = record;
    else this.emitGone(held.id, operation);
    return record !== null;
  }
}

/** Whether data ask for the end of their session. */
function isEnd<T>(data: T, ttl: TtlOf<T>): boolean {
  return (ttl(data) ?? 1) <= 0;
}

function operationsOf<T extends object>(
  sessions: SessionStore<T>,
  { option, form, comparable }: KitMigration<object>,
): SessionOperations<T> {
  checkMigrateFrom(option);
  const { store, phase = "new-only" } = option;
  const core = coreStoreIn(store);
  if (core === (sessions as object)) {
    throw new TypeError(
      "Expected `migrateFrom.store` to be another store than the one that sessions move to",
    );
  }
  if (core && SessionStore.partsOf(core).isMigrating) {
    throw new TypeError(
      "Expected `migrateFrom.store` to be a store without a `migrateFrom` of its own, which holds every session: let the first move end before the next one begins",
    );
  }
  const old = core ? coreStore(core) : frameworkStore(store, form);
  return new Migration(sessions, old, phase, comparable);
}

function storeFrom<T extends object>(source: SessionSource, options: SessionStoreOptions): SessionStore<T> {
  if (!(source instanceof SessionStore)) return new SessionStore<T>(source, options);
  const names = Object.keys(options);
  if (names.length === 0) return source;
  throw new TypeError(
    `Expected no options of the store beside a store, which has its own, got ${names.join(", ")}`,
  );
}

/** @throws TypeError for anything but an object that can hold the keys of a session */
export function checkSession(session: unknown): asserts session is object {
  if (typeof session === "object" && session !== null && !Array.isArray(session)) return;
  const kind = Array.isArray(session) ? "an array" : session === null ? "null" : typeof session;
  throw new TypeError(`Expected the session to be an object, got ${kind}`);
}
