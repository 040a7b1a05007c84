import type { SessionRecord } from "./types.js";

/** A record together with the bytes it was read from or written as: a touch stores them again, unread. */
export class StoredRecord<T extends object> implements SessionRecord<T> {
  /** Not a public field: it is for the store alone, and nobody wants to see it logged. */
  readonly #value: Uint8Array;

  constructor(
    readonly handle: string,
    readonly data: T,
    readonly revision: number,
    readonly createdAt: number,
    readonly expiresAt: number,
    value: Uint8Array,
  ) {
    this.#value = value;
  }

  /** The same data, stored again. */
  renewed(revision: number, expiresAt: number): StoredRecord<T> {
    return new StoredRecord(this.handle, this.data, revision, this.createdAt, expiresAt, this.#value);
  }

  static valueOf(record: StoredRecord<object>): Uint8Array {
    return record.#value;
  }

  /** @throws TypeError unless it is a record of this session that came from a store */
  static of<T extends object>(record: SessionRecord<T>, handle: string): StoredRecord<T> {
    if (!(record instanceof StoredRecord)) {
      throw new TypeError("Expected `record` to be what `load` or `save` gave, not a copy of it");
    }
    if (record.handle !== handle) throw new TypeError("Expected `record` to be of the same session id");
    return record;
  }
}
