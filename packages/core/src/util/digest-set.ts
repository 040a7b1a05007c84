/** Words of 32 bits for each digest: 128 bits of a SHA-256 leave no two keys that anyone could make collide. */
const WORDS = 4;

/**
 * A set of SHA-256 digests in base64url, which holds 16 bytes of each: a set of a million takes 32 MB where a
 * `Set` of the texts takes several times as much.
 */
export class DigestSet {
  #slots = 1024;
  #words = new Uint32Array(this.#slots * WORDS);
  #size = 0;

  /** How many digests it holds. */
  get size(): number {
    return this.#size;
  }

  /** Adds a digest. @returns false where it was in the set already */
  add(digest: string): boolean {
    if (this.#size >= this.#slots / 2) this.#grow();
    const bytes = Buffer.from(digest, "base64url");
    const word = (n: number) => bytes.readUInt32LE(n * 4);
    // All words zero marks a free slot; a digest of that form is as unlikely as a collision.
    const isNew = insert(this.#words, this.#slots, [word(0), word(1), word(2), word(3) || 1]);
    if (isNew) this.#size++;
    return isNew;
  }

  #grow(): void {
    const [old, slots] = [this.#words, this.#slots * 2];
    const words = new Uint32Array(slots * WORDS);
    for (let at = 0; at < old.length; at += WORDS) {
      if (old[at + 3] !== 0) insert(words, slots, old.subarray(at, at + WORDS));
    }
    this.#words = words;
    this.#slots = slots;
  }
}

/** Open addressing with linear probing; `slots` is a power of two. */
function insert(words: Uint32Array, slots: number, digest: ArrayLike<number>): boolean {
  for (let slot = (digest[0] as number) & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
    const at = slot * WORDS;
    if (words[at + 3] === 0) {
      words.set(digest, at);
      return true;
    }
    let same = 0;
    while (same < WORDS && words[at + same] === digest[same]) same++;
    if (same === WORDS) return false;
  }
}
