/**
 * A map that keeps the entries written last, at least `limit / 2` and at most `limit` of them. It is made of two
 * generations: a full one becomes the old one, and the one before is dropped whole.
 */
export class BoundedMap<K, V> {
  #young = new Map<K, V>();
  #old = new Map<K, V>();
  readonly #most: number;
  readonly #dropped: ((key: K, value: V) => void) | undefined;

  /** @param dropped is called for each entry that the limit removes */
  constructor(limit: number, dropped?: (key: K, value: V) => void) {
    this.#most = Math.max(1, Math.floor(limit / 2));
    this.#dropped = dropped;
  }

  get(key: K): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: K, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size >= this.#most) this.#age();
  }

  delete(key: K): boolean {
    const wasYoung = this.#young.delete(key);
    return this.#old.delete(key) || wasYoung;
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }

  #age(): void {
    const [old, young] = [this.#old, this.#young];
    this.#old = young;
    this.#young = new Map();
    if (!this.#dropped) return;
    for (const [key, value] of old) if (!young.has(key)) this.#dropped(key, value);
  }
}
