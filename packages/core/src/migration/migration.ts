import type { Assembly } from "../assembly.js";
import { isUnavailable } from "../errors.js";
import { handleOf } from "../format/keys.js";
import { type Comparable, digestsOf, isSameDigests } from "../format/migration-mark.js";
import { destroyForGood } from "../operations/adopt.js";
import { destroySession } from "../operations/destroy.js";
import { GONE } from "../operations/gone.js";
import { rotateSession } from "../operations/rotate.js";
import { saveSession } from "../operations/save.js";
import { touchSession } from "../operations/touch.js";
import { SessionStore } from "../store.js";
import type {
  RotateOptions,
  SaveOptions,
  SaveResult,
  SessionRecord,
  TouchOptions,
  TouchResult,
} from "../types.js";
import type { OperationContext, OperationName } from "../util/channels.js";
import { type Here, MovingSessions } from "./moving-sessions.js";
import { OldCopies } from "./old-copies.js";
import type { OldSession, OldStore } from "./old-store.js";
import type { MigrationPhase } from "./options.js";

/** The operations on one session that an adapter needs. */
export type SessionOperations<T extends object> = Pick<
  SessionStore<T>,
  "load" | "save" | "touch" | "rotate" | "destroy" | "reread"
>;

/**
 * The operations of a store while sessions move to it from another one; see {@link MigrationPhase}.
 *
 * This store is the truth for all processes that know it. While processes of the release before run, the old store
 * is their view of it: it gets what is stored here with a mark that names the digest of each key. What differs from
 * the mark was written by an old process, and is merged into what is here. An old process that writes back what it
 * loaded long ago writes the older mark with it, so its own changes are told from what it did not know.
 */
export class Migration<T extends object> implements SessionOperations<T> {
  readonly #store: SessionStore<T>;
  readonly #parts: Assembly;
  readonly #old: OldStore;
  readonly #phase: MigrationPhase;
  readonly #comparable: Comparable;
  readonly #here: MovingSessions<T>;
  readonly #copies: OldCopies<T>;

  constructor(store: SessionStore<T>, old: OldStore, phase: MigrationPhase, comparable: Comparable) {
    this.#store = store;
    this.#parts = SessionStore.partsOf(store);
    this.#parts.isMigrating = true;
    this.#old = old;
    this.#phase = phase;
    this.#comparable = comparable;
    this.#here = new MovingSessions(this.#parts, comparable, phase === "old-first");
    this.#copies = new OldCopies(this.#parts, old, phase, comparable);
  }

  load(id: string): Promise<SessionRecord<T> | null> {
    return this.#run("load", id, async (deadline, trace) => {
      const record = await this.#load(id, handleOf(id), deadline);
      if (trace) trace.outcome = record ? "found" : "missing";
      return record;
    });
  }

  save(id: string, data: T, options: SaveOptions<T> = {}): Promise<SaveResult<T>> {
    return this.#run("save", id, async (deadline, trace) => {
      const { context } = this.#parts;
      const handle = handleOf(id);
      const { record: before } = options;
      if (!before) await this.#copies.begin(id, data, options.ttl, Date.now(), deadline);
      const marked = this.#here.marked(data, before);
      const all = { ...options, source: options.source ?? data };
      const save = () => saveSession(context, handle, marked, all, deadline, trace);
      const saved = await (before ? save() : this.#beginHere(id, handle, save, deadline));
      const { record } = saved;
      if (!record) {
        if (this.#phase !== "new-only") await this.#copies.end(id, deadline);
        return saved;
      }
      this.#here.strip(record);
      if (record.revision === before?.revision) return saved;
      return (await this.#mirror(id, handle, record, deadline)) ? saved : GONE;
    });
  }

  touch(id: string, before: SessionRecord<T>, options: TouchOptions = {}): Promise<TouchResult<T>> {
    return this.#run("touch", id, async (deadline, trace) => {
      const handle = handleOf(id);
      const touched = await touchSession(this.#parts.context, handle, before, options, deadline, trace);
      const { outcome, record } = touched;
      if (!record) return touched;
      this.#here.keep(before, record);
      if (outcome !== "touched" || (await this.#mirrorCurrent(id, handle, deadline))) return touched;
      return GONE;
    });
  }

  rotate(id: string, newId: string, data: T, options: RotateOptions<T>): Promise<SaveResult<T>> {
    return this.#run("rotate", id, async (deadline, trace) => {
      const { context } = this.#parts;
      const [handle, newHandle] = [handleOf(id), handleOf(newId)];
      const { record: before, source = data } = options;
      if (!(await this.#withOld(id, handle, before, deadline))) return GONE;
      await this.#copies.begin(newId, data, options.ttl, before.createdAt, deadline);
      const marked = this.#here.marked(data, before);
      const all = { ...options, source, newSource: options.newSource ?? source };
      const rotate = () => rotateSession(context, handle, newHandle, marked, all, deadline, trace);
      const rotated = await this.#beginHere(newId, newHandle, rotate, deadline);
      const { record } = rotated;
      if (!record) {
        await this.#copies.end(newId, deadline);
        return rotated;
      }
      this.#here.strip(record);
      if (!(await this.#mirror(newId, newHandle, record, deadline))) return GONE;
      // The old id has its tombstone here: each process that knows this store ends it there when it meets it.
      await this.#copies.end(id, deadline);
      return rotated;
    });
  }

  destroy(id: string): Promise<boolean> {
    return this.#run("destroy", id, async (deadline, trace) => {
      const wasLive = await destroyForGood(this.#parts.context, handleOf(id), deadline, trace);
      await this.#old.end(id, deadline);
      return wasLive;
    });
  }

  async reread(before: SessionRecord<T>): Promise<SessionRecord<T>> {
    const record = await this.#store.reread(before);
    this.#here.strip(record);
    return record;
  }

  #run<R>(
    name: OperationName,
    id: string,
    operation: (deadline: number, trace?: OperationContext) => Promise<R>,
  ): Promise<R> {
    return this.#parts.lifecycle.operate(name, id, operation);
  }

  async #load(id: string, handle: string, deadline: number): Promise<SessionRecord<T> | null> {
    if (this.#phase === "old-first") {
      const both = [this.#here.read(handle, deadline), this.#old.load(id, deadline)] as const;
      const [here, asked] = await Promise.all(both);
      // A session begins there first: one that has begun here between the two answers is there by now.
      const old = asked ?? (here.record && (await this.#old.load(id, deadline)));
      return this.#reconcile(id, handle, here, old, deadline);
    }
    const here = await this.#here.read(handle, deadline);
    if (here.isEnded) return null;
    // What an old process may have written since is looked at once.
    if (here.record && !this.#here.isShared(here.record)) return here.record;
    const old = await this.#old.load(id, deadline);
    return this.#reconcile(id, handle, here, old, deadline);
  }

  /** Both stores as one. @returns the session as it is here now */
  async #reconcile(
    id: string,
    handle: string,
    here: Here<T>,
    old: OldSession | null,
    deadline: number,
  ): Promise<SessionRecord<T> | null> {
    if (here.isEnded) {
      if (old) await this.#copies.end(id, deadline);
      return null;
    }
    if (!old) {
      // An old process has ended it.
      if (here.record) await destroySession(this.#parts.context, handle, undefined, deadline);
      return null;
    }
    const record = here.record
      ? await this.#here.merge(handle, here.record, old, deadline)
      : await this.#here.adopt(handle, here.revision, old, deadline);
    if (!record) return null;
    const { absoluteTtl } = this.#parts.context.options;
    // Here it ends after that time, whatever is left of its life there.
    if (this.#phase === "new-only" && absoluteTtl !== undefined) await this.#copies.end(id, deadline);
    if (this.#phase !== "old-first") return record;
    const ours = digestsOf(record.data, this.#comparable);
    if (isSameDigests(ours, digestsOf(old.data, this.#comparable))) return record;
    return (await this.#mirror(id, handle, record, deadline)) ? record : null;
  }

  /**
   * Begins a session here that the old store has been given already. Where it is refused here it is taken back there:
   * it would move in from there.
   */
  async #beginHere<R>(id: string, handle: string, begin: () => Promise<R>, deadline: number): Promise<R> {
    try {
      return await begin();
    } catch (error) {
      // Without an answer it may have begun.
      if (this.#phase !== "new-only" && !isUnavailable(error)) {
        await this.#takeBack(id, handle, deadline).catch((cause) => this.#copies.warn(cause));
      }
      throw error;
    }
  }

  async #takeBack(id: string, handle: string, deadline: number): Promise<void> {
    const { record } = await this.#here.current(handle, deadline);
    if (record) await this.#mirror(id, handle, record, deadline);
    else await this.#old.end(id, deadline);
  }

  /** As `#mirror`, of what is stored now: a touch keeps what other requests have written. */
  async #mirrorCurrent(id: string, handle: string, deadline: number): Promise<boolean> {
    if (this.#phase === "new-only") return true;
    const { record } = await this.#here.current(handle, deadline);
    return record !== null && this.#mirror(id, handle, record, deadline);
  }

  /**
   * Lets the old store have what is stored here, and looks again: of two processes, the one that stored here first
   * may come there last, and a session may have been ended meanwhile. Where old processes may run, it looks there
   * first: what one of them has changed or ended since the load counts.
   * @returns whether the session is still live
   */
  async #mirror(id: string, handle: string, record: SessionRecord<T>, deadline: number): Promise<boolean> {
    if (this.#phase === "new-only") return true;
    try {
      for (let written = record; ; ) {
        const current = await this.#withOld(id, handle, written, deadline);
        if (!current) return false;
        await this.#copies.store(id, current.data, current.expiresAt, deadline);
        const { record: latest } = await this.#here.current(handle, deadline);
        if (!latest) {
          await this.#old.end(id, deadline);
          return false;
        }
        if (latest.revision <= current.revision) return true;
        written = latest;
      }
    } catch (error) {
      this.#copies.failed(error);
      return true;
    }
  }

  /** What was stored here with what an old process has changed meanwhile; `null` where it has ended the session. */
  async #withOld(
    id: string,
    handle: string,
    record: SessionRecord<T>,
    deadline: number,
  ): Promise<SessionRecord<T> | null> {
    if (this.#phase !== "old-first") return record;
    const old = await this.#old.load(id, deadline);
    if (old) return this.#here.merge(handle, record, old, deadline);
    await destroySession(this.#parts.context, handle, undefined, deadline);
    return null;
  }
}
