import { BoundedMap } from "../util/bounded-map.js";

/** How many keys are remembered: a lagging copy catches up long before that many writes. */
const LIMIT = 20_000;

/**
 * The newest revision that this process knows of each key, from its own writes, from the change feed and from the
 * leader. An answer with an older revision comes from a copy that lags behind and is not believed.
 */
export class KnownRevisions {
  readonly #revisions = new BoundedMap<string, number>(LIMIT);
  #newest = 0;

  /** The newest revision of all that this process wrote or was told of. */
  get newest(): number {
    return this.#newest;
  }

  note(key: string, revision: number): void {
    if (revision > this.#newest) this.#newest = revision;
    if (revision > this.of(key)) this.#revisions.set(key, revision);
  }

  /** The newest known revision of a key, 0 when none is known. */
  of(key: string): number {
    return this.#revisions.get(key) ?? 0;
  }

  /** For a key whose entry has gone without a later write: it expired, or the bucket was purged or restored. */
  forget(key: string): void {
    this.#newest = 0;
    this.#revisions.delete(key);
  }

  /** For a bucket that was created again. */
  clear(): void {
    this.#newest = 0;
    this.#revisions.clear();
  }
}
