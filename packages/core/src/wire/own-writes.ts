/** How many keys are remembered; a replica that lags does so for far less time than it takes to write as many. */
const MOST = 20_000;

/** The revisions that this process wrote last, so that it never takes an older one for the truth (rule 5). */
export class OwnWrites {
  readonly #revisions = new Map<string, number>();

  #newest = 0;

  /** The newest revision of all that this process wrote. */
  get newest(): number {
    return this.#newest;
  }

  note(key: string, revision: number): void {
    this.#newest = Math.max(this.#newest, revision);
    const known = this.#revisions.get(key) ?? 0;
    this.#revisions.delete(key);
    this.#revisions.set(key, Math.max(known, revision));
    if (this.#revisions.size > MOST) this.#revisions.delete(this.#revisions.keys().next().value as string);
  }

  /** The newest revision of the key that this process wrote, 0 when it is not known. */
  revisionOf(key: string): number {
    return this.#revisions.get(key) ?? 0;
  }

  clear(): void {
    this.#newest = 0;
    this.#revisions.clear();
  }

  /** For when the bucket has proved to be another than it was. */
  forget(key: string): void {
    this.#newest = 0;
    this.#revisions.delete(key);
  }
}
