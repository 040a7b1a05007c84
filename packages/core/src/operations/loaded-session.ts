import type { StoredSession } from "../context.js";
import type { SessionMetadata } from "../format/metadata.js";
import type { SessionRecord } from "../types.js";

/** What the store knows of a record beside its public fields. */
interface State {
  /** The session as it is stored: what the next write builds on. */
  readonly stored: StoredSession;
  /** What the record's own data were read from: not what is stored, where a touch has met a newer revision. */
  readonly given: Uint8Array;
  /** What the object that was saved holds, where that is not what was stored: after a merge. */
  readonly held: Held | undefined;
}

/** Serialised data, and the object that holds them. */
interface Held {
  readonly value: Uint8Array;
  readonly source: object;
}

/** A record of `load`, `save`, `touch` or `rotate`. */
export class LoadedSession<T extends object> implements SessionRecord<T> {
  readonly handle: string;
  readonly data: T;
  readonly revision: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Not a public field: it is for the store alone, and does not appear in logs. */
  readonly #state: State;

  constructor(handle: string, data: T, stored: StoredSession, held?: Held, given = stored.value) {
    this.handle = handle;
    this.data = data;
    this.revision = stored.revision;
    this.createdAt = stored.metadata.createdAt;
    this.expiresAt = stored.metadata.expiresAt;
    this.#state = { stored, given, held };
  }

  /** @throws TypeError for what did not come from a store */
  static stateOf(record: SessionRecord<object>): State {
    if (typeof record === "object" && record !== null && #state in record) return record.#state;
    throw new TypeError("Expected `record` to be what `load` or `save` gave, not a copy of it");
  }
}

/** @throws TypeError unless it is a record of this session that came from a store */
export function loadedSession<T extends object>(record: SessionRecord<T>, handle: string): LoadedSession<T> {
  LoadedSession.stateOf(record);
  if (record.handle !== handle) throw new TypeError("Expected `record` to be of the same session id");
  return record as LoadedSession<T>;
}

/** The session as the record's last read or write left it. */
export function storedOf(record: SessionRecord<object>): StoredSession {
  return LoadedSession.stateOf(record).stored;
}

/**
 * What data from this object are to be compared with, to see what their holder has changed. After a merge that is
 * what the holder saved, not what is stored: the holder never saw the other side's keys, and those must not look as
 * if they had been removed.
 */
export function baseOf(record: SessionRecord<object>, source: object): Uint8Array {
  const { given, held } = LoadedSession.stateOf(record);
  return held?.source === source ? held.value : given;
}

/** The record of a session that was stored again with other data than its holder has, or with a later expiry. */
export function renewed<T extends object>(
  record: LoadedSession<T>,
  value: Uint8Array,
  revision: number,
  metadata: SessionMetadata,
): LoadedSession<T> {
  const { given, held } = LoadedSession.stateOf(record);
  return new LoadedSession(record.handle, record.data, { revision, value, metadata }, held, given);
}
