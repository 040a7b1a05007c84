/** What the buffer needs to know of a write. */
export interface NumberedWrite {
  readonly key: string;
  readonly sequence: number;
  /** By the server's clock (Unix ms). */
  readonly writtenAt: () => number;
}

export interface GapBufferOptions<W> {
  /** Receives the writes in order. */
  emit(write: W): void;
  /** Whether two messages with one sequence number report the same write. */
  isSame(one: W, other: W): boolean;
}

/**
 * So many messages that came before others are kept; the rest is read from the bucket. They may be emitted all at once,
 * after a batch that was read: together not more than a reader of the feed keeps.
 */
const MOST_EARLY = 500;

/** Of so many numbers it is remembered what was emitted. */
const RECENT = 1024;

/**
 * Decides what to do with each numbered message of a feed that may lose, repeat and reorder messages, and to which
 * strangers may publish. It emits writes in the order of their numbers and none twice. It neither reads nor waits:
 * its owner reads from the bucket where `isBehind` says so, and hands in what it finds.
 *
 * A single message cannot be told from a forged one. A forged message shows through the real one: one number then
 * came with two contents. A bucket restored from a backup shows in the same way: it gives a number again, to a later
 * write. Both are a contradiction, after which the owner restarts the buffer from what the bucket holds.
 */
export class GapBuffer<W extends NumberedWrite> {
  readonly #emit: (write: W) => void;
  readonly #isSame: (one: W, other: W) => boolean;
  /** The last number that was emitted or skipped; `undefined` until it is known where to begin. */
  #last: number | undefined;
  /** Nothing is remembered up to this number. */
  #start = 0;
  /** The write emitted last. */
  #newest: W | undefined;
  /** When the last skipped number was in the bucket, by the server's clock (Unix ms). */
  #skippedAt = 0;
  /** What was emitted under the last numbers, at the number modulo the length. */
  readonly #recent: (W | undefined)[] = new Array(RECENT).fill(undefined);
  /** Messages that cannot be emitted yet, by number. */
  readonly #early = new Map<number, W>();
  #isHeld = true;
  #hasLostEarly = false;
  /** The lowest number that came with two contents. */
  #contradicted = Number.POSITIVE_INFINITY;

  constructor({ emit, isSame }: GapBufferOptions<W>) {
    this.#emit = emit;
    this.#isSame = isSame;
  }

  /** The last number that was emitted or skipped. */
  get last(): number {
    return this.#last ?? 0;
  }

  get newest(): W | undefined {
    return this.#newest;
  }

  /** Whether something has to be read from the bucket. */
  get isBehind(): boolean {
    return this.#early.size > 0 || this.#hasLostEarly || this.isContradicted;
  }

  /** Whether messages contradict each other or what was emitted: restart. */
  get isContradicted(): boolean {
    return this.#contradicted < Number.POSITIVE_INFINITY;
  }

  /** The numbers of the messages that are kept. */
  get early(): number[] {
    return [...this.#early.keys()];
  }

  /** The lowest number of which it is remembered whether something was emitted. */
  get oldest(): number {
    return Math.max(this.#start, this.last - RECENT) + 1;
  }

  /**
   * Forgets everything and goes on after the bucket's last write, or before the lowest number that is kept or
   * contradicted: what follows it has to be read from the bucket.
   * @param stored the entry with the last number, where there is one
   * @param at when the number was the last, by the server's clock (Unix ms)
   */
  restart(last: number, stored: W | null, at: number): void {
    // A forged number far below the end must not make the feed emit the whole bucket.
    const known = [this.#contradicted, ...this.early].filter((number) => number > last - RECENT);
    this.#last = Math.min(last, ...known.map((number) => number - 1));
    this.drop(this.early.filter((number) => number <= last));
    this.#contradicted = Number.POSITIVE_INFINITY;
    this.#recent.fill(undefined);
    this.#newest = undefined;
    this.#skippedAt = at;
    this.#start = this.#last;
    if (stored?.sequence !== this.#last) return;
    this.#start = this.#last - 1;
    this.#remember(stored);
  }

  /** Takes a message of the feed. */
  receive(write: W): void {
    const { sequence } = write;
    if (!Number.isSafeInteger(sequence) || sequence < 1) return;
    if (sequence <= this.last) this.#receiveLate(write);
    else if (this.#isHeld || sequence > this.last + 1 || this.#early.has(sequence)) this.#keep(write);
    else {
      this.#accept(write);
      if (this.#early.size > 0) this.#drain();
    }
  }

  /** Emits nothing from messages until `release`: the bucket is being read. */
  hold(): void {
    this.#isHeld = true;
    this.#hasLostEarly = false;
  }

  /** As `hold`, and drops what came early: the bucket may be replaced before the link is back. */
  cut(): void {
    this.hold();
    if (this.#last !== undefined) this.#early.clear();
  }

  release(): void {
    this.#isHeld = false;
    this.#drain();
  }

  /** Takes the next entry that was read from the bucket; the numbers before it hold nothing to emit. */
  acceptRead(write: W): void {
    if (write.sequence > this.last) this.#accept(write);
  }

  /** Says that the bucket holds nothing more to emit up to a number. @param at as in `restart` */
  skipTo(number: number, at: number): void {
    if (number <= this.last) return;
    this.#last = number;
    if (at > this.#skippedAt) this.#skippedAt = at;
  }

  /** Drops kept messages: no such writes exist. */
  drop(numbers: readonly number[]): void {
    for (const number of numbers) this.#early.delete(number);
  }

  /** Whether this write was emitted, as far as that is remembered. */
  hasEmitted(write: W): boolean {
    const emitted = this.#emittedAt(write.sequence);
    return emitted !== undefined && this.#isSame(emitted, write);
  }

  /** The newest write to each key among those remembered, newest first. */
  newestOfEachKey(): W[] {
    const found = new Map<string, W>();
    for (let number = this.last; number >= this.oldest; number--) {
      const write = this.#emittedAt(number);
      if (write && !found.has(write.key)) found.set(write.key, write);
    }
    return [...found.values()];
  }

  #emittedAt(number: number): W | undefined {
    const write = this.#recent[number % RECENT];
    return write?.sequence === number ? write : undefined;
  }

  get #next(): W | undefined {
    return this.#early.get(this.last + 1);
  }

  #accept(write: W): void {
    this.#last = write.sequence;
    this.#remember(write);
    this.#emit(write);
  }

  #remember(write: W): void {
    this.#newest = write;
    this.#recent[write.sequence % RECENT] = write;
  }

  #receiveLate(write: W): void {
    const emitted = this.#emittedAt(write.sequence);
    if (emitted ? !this.#isSame(emitted, write) : this.#isLaterThanAll(write)) this.#contradict(write);
  }

  /** A message that is only late is older than what was emitted or skipped after it. */
  #isLaterThanAll(write: W): boolean {
    const writtenAt = write.writtenAt();
    return writtenAt > this.#skippedAt && (!this.#newest || writtenAt > this.#newest.writtenAt());
  }

  #keep(write: W): void {
    const { sequence } = write;
    const kept = this.#early.get(sequence);
    if (kept && !this.#isSame(kept, write)) this.#contradict(write);
    else if (this.#early.size < MOST_EARLY) this.#early.set(sequence, write);
    else this.#hasLostEarly = true;
  }

  /** Nothing more is emitted from messages until the bucket was read. */
  #contradict({ sequence }: W): void {
    this.#isHeld = true;
    this.#contradicted = Math.min(this.#contradicted, sequence);
  }

  /** Emits the kept messages that are in a row now, and compares those that were read from the bucket instead. */
  #drain(): void {
    for (const [number, write] of this.#early) {
      if (number > this.last) continue;
      this.#early.delete(number);
      this.#receiveLate(write);
    }
    for (let next = this.#next; next && !this.#isHeld; next = this.#next) {
      this.#early.delete(next.sequence);
      this.#accept(next);
    }
  }
}
