import type { SessionRecord } from "nats-session-store";

export type Data = Record<string, unknown>;

export const KEYS = ["a", "b", "c"];

/** A change of one key; times are ms of `performance.now()`. */
export interface Change {
  readonly key: string;
  /** Serialised; `undefined` = removed. */
  readonly value: string | undefined;
  readonly by: number;
  readonly from: number;
  /** When it was acknowledged; infinite where it never was, although it may be stored. */
  until: number;
}

/** An end of the session: a destroy by a client, or a purge by an operator. */
export interface End {
  readonly by: number;
  readonly since: number;
  /** When it was acknowledged. */
  at: number | undefined;
  /** How much longer than otherwise an answer may be from before it, in ms. */
  readonly lag: number;
}

/** A new id for the session; the times are those of an end of the old id. */
export interface Rotation extends End {
  readonly id: string;
}

export interface Load {
  readonly id: string;
  readonly by: number;
  readonly from: number;
  readonly until: number;
  /** How old the answer may be where it is about what other clients did, in ms. */
  readonly lag: number;
  /** `hidden`: the session is there, but cannot be read with the client's keys. */
  readonly record: Pick<SessionRecord<Data>, "data" | "expiresAt"> | "hidden" | null;
}

/**
 * What happened to one session, whatever its ids, as far as the promises speak of it. What an operator does is a
 * change of the history: a purge ends the session, a restored backup is an earlier history. A mirror, another leader
 * and clocks that differ change nothing but how old an answer may be.
 */
export class History {
  /** All ids of the session, the current one last. */
  ids: string[];
  changes: Change[] = KEYS.map((key) => ({ key, value: undefined, by: -1, from: -1, until: -1 }));
  /** Expiries that were acknowledged, and when. */
  expiries: { at: number; by: number; expiresAt: number }[] = [];
  ends: End[] = [];
  rotations: Rotation[] = [];
  loads: Load[] = [];
  /** Saves and touches that found no session. */
  missed: { id: string; at: number }[] = [];
  /** Before this, plus what an answer may be old, loads may show what was before the backup was restored. */
  restoredAt = Number.NEGATIVE_INFINITY;
  operations = 0;

  /** @param skew by how much the clocks of two clients may differ, in ms */
  constructor(
    id: string,
    readonly skew = 0,
  ) {
    this.ids = [id];
  }

  get id(): string {
    return this.ids.at(-1) as string;
  }

  /** Whether an end has begun. */
  get isEnding(): boolean {
    return this.ends.length > 0;
  }

  /** Keeps the history as a backup does. @returns makes it the history again; to be called at rest */
  backUp(): () => void {
    const { ids, changes, expiries, ends, rotations } = this;
    const kept = { ids: [...ids], changes: [...changes], expiries: [...expiries] };
    const both = { ends: [...ends], rotations: [...rotations] };
    return () => Object.assign(this, kept, both, { restoredAt: performance.now() });
  }

  /**
   * The rules that were broken since the last call, in words; none when all is well.
   *
   * - After an end or a rotation was acknowledged no load finds the session under the id, or under any id.
   * - Before an end or a rotation of its id has begun every load, save and touch finds it.
   * - No load shows a value that another one has replaced, nor one that nobody stored.
   * - No load sees an earlier expiry than one that was acknowledged before.
   */
  violations(): string[] {
    const loads = this.loads.splice(0).filter((load) => load.from >= this.restoredAt + load.lag);
    const missed = this.missed.splice(0).filter(({ at }) => at >= this.restoredAt);
    return [
      ...loads.flatMap((load) => [...this.#violationsOf(load)]),
      ...missed
        .filter(({ id, at }) => !this.#mayBeGone(id, at))
        .map(({ id, at }) => `a write at ${at} did not find the session ${id}`),
    ];
  }

  /**
   * As `violations`, for what is stored when all is over: besides, each change that was acknowledged is there, unless
   * the same key was changed at the same time or later.
   */
  finalViolations(record: SessionRecord<Data> | null): string[] {
    const found: string[] = [];
    if (record && this.ends.some(({ at }) => at !== undefined))
      found.push("an ended session is there in the end");
    if (!record && !this.isEnding) found.push("the session is gone, though nobody ended it");
    if (!record) return found;
    for (const key of KEYS) found.push(...this.#wrongValue(key, record.data, () => true));
    return found;
  }

  *#violationsOf(load: Load): Generator<string> {
    const { id, from, until, record } = load;
    const what = `client ${load.by}, load of ${id} at ${Math.round(from)}`;
    if (!record) {
      if (!this.#mayBeGone(id, until)) yield `${what}: the session was not found while it was there`;
      return;
    }
    const isBefore = ({ at, by, lag }: End) =>
      at !== undefined && at + (by === load.by ? 0 : load.lag + lag) < from;
    if (this.ends.some(isBefore)) yield `${what}: the session was found after its end`;
    if (this.rotations.some((rotation) => rotation.id === id && isBefore(rotation)))
      yield `${what}: the session was found under an old id`;
    if (!this.ids.includes(id) && from > this.restoredAt + load.lag) yield `${what}: there is no such id`;
    if (record === "hidden") return;
    const known = ({ by, until }: Change) => until + (by === load.by ? 0 : load.lag) < from;
    for (const key of KEYS) yield* this.#wrongValue(key, record.data, known, what);
    const least = this.expiries.filter(({ at, by }) => at + (by === load.by ? 0 : load.lag) < from);
    const latest = Math.max(0, ...least.map(({ expiresAt }) => expiresAt));
    if (record.expiresAt < latest - this.skew) yield `${what}: an expiry moved backwards`;
  }

  /** @param isKnown whether an answer must take the change into account */
  *#wrongValue(
    key: string,
    data: Data,
    isKnown: (change: Change) => boolean,
    what = "in the end",
  ): Generator<string> {
    const value = JSON.stringify(data[key]);
    const changes = this.changes.filter((change) => change.key === key);
    const isReplaced = (one: Change) => changes.some((other) => other.from > one.until && isKnown(other));
    const possible = changes.filter((one) => !isReplaced(one));
    if (possible.some((change) => change.value === value)) return;
    yield `${what}: key ${key} is ${value}, expected one of ${JSON.stringify(possible.map((one) => one.value))}`;
  }

  #mayBeGone(id: string, at: number): boolean {
    const hasBegun = ({ since }: End) => since < at;
    return this.ends.some(hasBegun) || this.rotations.some((one) => one.id === id && hasBegun(one));
  }
}
