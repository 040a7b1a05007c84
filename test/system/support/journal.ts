/** What is known of one value in the store: what was acknowledged, and what unanswered writes may have made of it. */
export class Journal {
  #acknowledged: number | null = null;
  #expiresAt = 0;
  readonly #possible = new Set<number | null>();

  /** A write was acknowledged; `null` = there is nothing any more. Whatever came before it is settled. */
  acknowledged(value: number | null, expiresAt = 0): void {
    this.#acknowledged = value;
    this.#expiresAt = expiresAt;
    this.#possible.clear();
  }

  /** There is nothing, as was found without a write: what had no answer before may still happen. */
  absent(): void {
    this.#acknowledged = null;
  }

  /** A touch was acknowledged. */
  renewed(expiresAt: number): void {
    this.#expiresAt = Math.max(this.#expiresAt, expiresAt);
  }

  /** A write was begun and had no answer: it may have happened, or may still happen. */
  unanswered(value: number | null): void {
    this.#possible.add(value);
  }

  /** What contradicts the journal in what was found, if anything. */
  contradiction(found: number | null, expiresAt = Number.POSITIVE_INFINITY): string | undefined {
    if (found === this.#acknowledged) {
      const isRenewed = found === null || this.#possible.size > 0 || expiresAt >= this.#expiresAt;
      return isRenewed ? undefined : `expires ${this.#expiresAt - expiresAt} ms before what was acknowledged`;
    }
    if (this.#possible.has(found)) return undefined;
    const possible = [...this.#possible].map(String).join(", ") || "nothing else";
    return `found ${found}, acknowledged ${this.#acknowledged}, possible ${possible}`;
  }
}
