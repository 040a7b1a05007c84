import type { StoredSession } from "./context.js";
import type { Metadata, Ownership } from "./record.js";
import type { SessionRecord } from "./types.js";

interface Content<T extends object> {
  readonly handle: string;
  readonly data: T;
  /** The bytes that are stored. */
  readonly value: Uint8Array;
  readonly revision: number;
  readonly metadata: Metadata;
  /** What the holder of the session has in hands where that is not what is stored: after a merge. */
  readonly held?: Held | undefined;
}

/** The serialised data that a save came with, and the object they were taken from. */
interface Held {
  readonly value: Uint8Array;
  readonly source: object;
}

/** A record together with the bytes it was read from or written as: a touch stores them again, unread. */
export class StoredRecord<T extends object> implements SessionRecord<T> {
  readonly handle: string;
  readonly data: T;
  readonly revision: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Not public fields: they are for the store alone, and nobody wants to see them logged. */
  readonly #value: Uint8Array;
  readonly #ownership: Ownership | undefined;
  readonly #held: Held | undefined;

  constructor({ handle, data, value, revision, metadata, held }: Content<T>) {
    this.handle = handle;
    this.data = data;
    this.revision = revision;
    this.createdAt = metadata.createdAt;
    this.expiresAt = metadata.expiresAt;
    this.#value = value;
    this.#ownership = metadata.ownership;
    this.#held = held;
  }

  /** The same session, stored again unchanged, under another of its names perhaps. */
  renewed(revision: number, metadata: Metadata, handle = this.handle): StoredRecord<T> {
    const { data } = this;
    return new StoredRecord({ handle, data, revision, metadata, value: this.#value, held: this.#held });
  }

  /** The same for a session that was found under another of its names. What is there now may be newer. */
  under(handle: string): StoredRecord<T> {
    if (handle === this.handle) return this;
    return this.renewed(this.revision, StoredRecord.storedOf(this).metadata, handle);
  }

  /** The bytes that are stored. */
  static valueOf(record: StoredRecord<object>): Uint8Array {
    return record.#value;
  }

  /** The session as the server had it then. */
  static storedOf(record: StoredRecord<object>): StoredSession {
    const { revision, createdAt, expiresAt } = record;
    const metadata: Metadata = { createdAt, expiresAt, write: "update", ownership: record.#ownership };
    return { revision, value: record.#value, metadata };
  }

  /** Whose session it is, as the server had it. */
  static ownershipOf(record: StoredRecord<object>): Ownership | undefined {
    return record.#ownership;
  }

  /**
   * What data from this source are to be compared with to see what their holder has changed. After a merge
   * that is what the holder saved, not what is stored: they never saw the other side's keys, and those must not
   * look as if they had been removed.
   */
  static baseOf(record: StoredRecord<object>, source: object): Uint8Array {
    return record.#held?.source === source ? record.#held.value : record.#value;
  }

  /**
   * @param handles the names of the session that it must be of
   * @throws TypeError unless it is a record of this session that came from a store
   */
  static of<T extends object>(record: SessionRecord<T>, handles: readonly string[]): StoredRecord<T> {
    if (!(record instanceof StoredRecord)) {
      throw new TypeError("Expected `record` to be what `load` or `save` gave, not a copy of it");
    }
    if (!handles.includes(record.handle))
      throw new TypeError("Expected `record` to be of the same session id");
    return record;
  }
}
