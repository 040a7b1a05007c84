import type { Assembly } from "../assembly.js";
import {
  type Comparable,
  changesOf,
  MARK,
  type OldChanges,
  type Taken,
  takenIn,
  takenWith,
  unmarked,
} from "../format/migration-mark.js";
import { adoptSession } from "../operations/adopt.js";
import type { LoadedSession } from "../operations/loaded-session.js";
import { recordOf } from "../operations/record.js";
import { saveSession } from "../operations/save.js";
import { touchSession } from "../operations/touch.js";
import type { SessionRecord } from "../types.js";
import { objectLinks } from "../util/object-links.js";
import type { OldSession } from "./old-store.js";

/** What is stored here under an id. */
export interface Here<T extends object> {
  readonly record: LoadedSession<T> | null;
  /** Whether the session was ended here, which counts whatever the old store holds. */
  readonly isEnded: boolean;
  /** The revision that a session that begins here builds on. */
  readonly revision: number;
}

/**
 * The sessions here while they move in from another store: what of them was taken from there, and what old processes
 * have changed there since. No caller sees the key that remembers it.
 */
export class MovingSessions<T extends object> {
  readonly #parts: Assembly;
  readonly #comparable: Comparable;
  /** Whether old processes may write what is stored here. */
  readonly #isShared: boolean;
  /** What this store remembers of the old one, by record; none for a session that only this store has written. */
  readonly #taken = objectLinks<Taken>();

  constructor(parts: Assembly, comparable: Comparable, isShared: boolean) {
    this.#parts = parts;
    this.#comparable = comparable;
    this.#isShared = isShared;
  }

  /** Whether old processes may have written the session since it was written here. */
  isShared(record: SessionRecord<T>): boolean {
    return this.#taken.get(record) !== undefined;
  }

  /** What is stored here, after the writes of this process that are under way. */
  async read(handle: string, deadline: number): Promise<Here<T>> {
    const { context } = this.#parts;
    await context.writes.settled(handle, deadline);
    const session = await context.sessions.read(handle, deadline);
    if (session) return this.#found(await recordOf<T>(context, handle, session, deadline));
    return this.current(handle, deadline);
  }

  /** As `read`, never from a copy that lags behind. */
  async current(handle: string, deadline: number): Promise<Here<T>> {
    const { context } = this.#parts;
    const found = await context.sessions.findCurrent(handle, deadline);
    const session = context.sessions.sessionIn(handle, found);
    if (session) return this.#found(await recordOf<T>(context, handle, session, deadline));
    // One that has expired here may have been renewed by an old process, which could do that only there.
    return { record: null, isEnded: found.tombstone?.reason === "destroyed", revision: found.revision };
  }

  #found(record: LoadedSession<T>): Here<T> {
    this.strip(record);
    return { record, isEnded: false, revision: record.revision };
  }

  /** Takes the mark out of a record's own copy of the data. */
  strip(record: SessionRecord<T>): void {
    const data = record.data as Record<string, unknown>;
    if (!Object.hasOwn(data, MARK)) return;
    this.#taken.set(record, takenIn(data[MARK]));
    delete data[MARK];
  }

  /** What is remembered of a record holds for the one that a touch made of it. */
  keep(before: SessionRecord<T>, renewed: SessionRecord<T>): void {
    const taken = this.#taken.get(before);
    if (taken) this.#taken.set(renewed, taken);
  }

  /** What is to be stored here: what may be written by old processes says so. */
  marked(data: T, before: SessionRecord<T> | undefined, taken = before && this.#taken.get(before)): T {
    const { data: plain } = unmarked(data);
    return this.#isShared ? { ...plain, [MARK]: taken ?? [] } : plain;
  }

  /** The session that begins here as a copy of the old store's; that of another process where it was faster. */
  async adopt(
    handle: string,
    expected: number,
    old: OldSession,
    deadline: number,
  ): Promise<SessionRecord<T> | null> {
    const { data, mark } = unmarked(old.data);
    const adoption = {
      data: this.marked(data as T, undefined, takenWith([], data, mark, this.#comparable)),
      expiresAt: old.expiresAt ?? (old.ttl === undefined ? undefined : Date.now() + old.ttl),
      createdAt: old.createdAt,
      expected,
    };
    const record = await adoptSession(this.#parts.context, handle, adoption, deadline);
    if (record === undefined) return null;
    return record
      ? (this.#found(record).record as SessionRecord<T>)
      : (await this.current(handle, deadline)).record;
  }

  /** The session with what old processes have changed since it was written here. */
  async merge(
    handle: string,
    record: SessionRecord<T>,
    old: OldSession,
    deadline: number,
  ): Promise<SessionRecord<T> | null> {
    const { context } = this.#parts;
    const { data: theirs, mark } = unmarked(old.data);
    const remembered = this.#taken.get(record);
    const taken = remembered ?? [];
    const changes = changesOf(theirs, mark, taken, this.#comparable);
    let current: SessionRecord<T> = record;
    const isSettling = !this.#isShared && remembered !== undefined;
    if (changes === "all" || changes.size > 0 || isSettling) {
      const data = applied(record.data, theirs as T, changes);
      const now = takenWith(taken, theirs, mark, this.#comparable);
      // An old process may have signed the session in, which knows no limit here.
      const options = { record, keepExpiry: true, onConflict: "merge" as const, isLimited: false };
      const saved = await saveSession(context, handle, this.marked(data, record, now), options, deadline);
      if (!saved.record) return null;
      this.strip(saved.record);
      current = saved.record;
    }
    const later = old.expiresAt;
    if (later === undefined || later <= current.expiresAt) return current;
    const ttl = Math.min(later - Date.now(), context.buckets.facts.maxTtl);
    const { record: renewed } = await touchSession(context, handle, current, { ttl }, deadline);
    if (renewed) this.keep(current, renewed);
    return renewed;
  }
}

function applied<T extends object>(ours: T, theirs: T, changes: OldChanges): T {
  if (changes === "all") return theirs;
  const data = new Map<string, unknown>(Object.entries(ours));
  for (const [key, value] of changes) {
    if (value === undefined) data.delete(key);
    else data.set(key, value);
  }
  return Object.fromEntries(data) as T;
}
