interface Waiting {
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Promises that resolve when a growing number has reached what they wait for. */
export class WaitingLine {
  readonly #waiting = new Set<Waiting>();

  until(end: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.add({ end, resolve, reject }));
  }

  reached(number: number): void {
    for (const waiting of this.#waiting) {
      if (waiting.end > number) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  giveUp(why: Error): void {
    for (const { reject } of this.#waiting) reject(why);
    this.#waiting.clear();
  }
}
