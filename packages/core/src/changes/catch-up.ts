import type { Position } from "../nats/bucket.js";
import { now } from "../util/timers.js";
import type { GapBuffer, NumberedWrite } from "./gap-buffer.js";

/** What is read from the bucket. `position` and `readSequence` give the leader's word, and so does a read of nothing. */
export interface CatchUpSource<W> {
  position(): Promise<Position>;
  /** The entry with exactly this number. */
  readSequence(sequence: number): Promise<W | null>;
  /** The first entry of a key at or after a number; without a key that of any session. */
  readNext(sequence: number, key?: string): Promise<W | null>;
  /** The entries of sessions from a number on, in batches. */
  scan(from: number): AsyncIterable<W[]>;
  /** Whether the write stored a session that the bucket must still hold unless it was written again. */
  outlasts(write: W): boolean;
}

/** What was known of a bucket at a moment; the last number is that of the last write that was emitted. */
export type KnownPosition = Pick<Position, "identity" | "first" | "last">;

/** `doubtful`: not what was emitted, if the leader does not lag behind. */
type Outcome = "complete" | "unfinished" | "contradicted" | "doubtful";

/** Since when a leader's answers have been doubtful. */
interface Doubt {
  /** The leader's. */
  readonly term: string;
  /** In ms of `now()`. */
  readonly since: number;
}

/** Tombstones stay at least this long (ms): what happened longer ago than this may have left no trace. */
const SHORTEST_TOMBSTONE = 60_000;

/** So many of the last writes are compared with the bucket. */
const COMPARED = 64;

/** Brings a feed up to the end of the bucket, and notices where the bucket's history is not what was emitted. */
export class CatchUp<W extends NumberedWrite> {
  readonly #buffer: GapBuffer<W>;
  readonly #source: CatchUpSource<W>;
  readonly #missed: (isReplaced: boolean) => void;
  readonly #leaderLag: number;
  /** Where it differs, it may be another bucket. */
  #identity = "";
  /** The number of the bucket's first entry. */
  #first = 0;
  /** When the feed was last known to be complete, by the server's clock (Unix ms). */
  #completeAt = 0;
  #doubt: Doubt | undefined;

  /**
   * @param missed called where some writes can no longer be emitted; `isReplaced`: what was emitted no longer counts
   * @param leaderLag how long a leader elected a moment ago may be behind what it has acknowledged (ms)
   */
  constructor(
    buffer: GapBuffer<W>,
    source: CatchUpSource<W>,
    missed: (isReplaced: boolean) => void,
    leaderLag = 2_000,
  ) {
    this.#buffer = buffer;
    this.#source = source;
    this.#missed = missed;
    this.#leaderLag = leaderLag;
  }

  /** Begins at the end of the bucket, or before the writes whose messages came already. */
  async begin(position: Position): Promise<void> {
    await this.#startFrom(position);
    await this.#readTo(position);
  }

  /** What is known of the bucket before it is asked for its position. */
  get known(): KnownPosition {
    return { identity: this.#identity, first: this.#first, last: this.#buffer.last };
  }

  /**
   * Reads what the feed has not reported, up to the end of the bucket. The buffer has to be held meanwhile.
   * @param isCut whether the link was down: no message may have shown that the bucket was restored
   * @returns false where the leader may lag behind what was acknowledged before its election: try again
   */
  async run(isCut: boolean): Promise<boolean> {
    const doubt = this.#doubt;
    // A read that fails ends it: another leader may have been elected.
    this.#doubt = undefined;
    const { known } = this;
    const { early } = this.#buffer;
    const position = await this.#source.position();
    const outcome = await this.#compareAndRead(position, known, isCut);
    if (outcome === "unfinished" || (outcome === "doubtful" && this.#isLagPossible(position, doubt)))
      return false;
    this.#doubt = undefined;
    if (outcome !== "complete") await this.#restart(position);
    this.#first = position.first;
    this.#completeAt = timeOf(position);
    // They were there before the question, but the bucket does not reach them: they are forged.
    this.#buffer.drop(early.filter((number) => number > position.last));
    return true;
  }

  async #compareAndRead(position: Position, known: KnownPosition, isCut: boolean): Promise<Outcome> {
    if (hasLost(position, known)) return "doubtful";
    if (this.#buffer.isContradicted) return "contradicted";
    if (!(await this.#isSame(position, isCut))) return "doubtful";
    this.#identity = position.identity;
    if (this.#isTooLate(position)) {
      this.#missed(false);
      this.#completeAt = timeOf(position);
    }
    if (!(await this.#readTo(position))) return "unfinished";
    return (await this.isPurged(position)) ? "doubtful" : "complete";
  }

  /**
   * Whether sessions were removed past the store, which no message reports: the bucket begins after one that it
   * should still hold, or does not hold the one that was written last.
   */
  async isPurged({ first, last }: Position): Promise<boolean> {
    if (this.#buffer.last < last) return false;
    const outlasts = (write: W) => this.#source.outlasts(write);
    const writes = this.#buffer.newestOfEachKey();
    const newest = writes.find(outlasts);
    const before = first > this.#buffer.oldest ? writes.filter(({ sequence }) => sequence < first) : [];
    return !(await this.#areKept([...(newest ? [newest] : []), ...before.filter(outlasts)]));
  }

  async #restart(position: Position): Promise<void> {
    await this.#startFrom(position);
    this.#missed(true);
    // What it does not reach is read later.
    await this.#readTo(position);
  }

  async #startFrom(position: Position): Promise<void> {
    const { identity, first, last } = position;
    const stored = last === 0 ? null : await this.#source.readSequence(last);
    this.#identity = identity;
    this.#first = first;
    this.#completeAt = timeOf(position);
    this.#buffer.restart(last, stored, timeOf(position));
  }

  /**
   * Whether it is the bucket that was followed, with the same history. The same bucket may have another identity at
   * another server, so only what was emitted tells: some of it has to be there then.
   */
  async #isSame({ identity }: Position, isCut: boolean): Promise<boolean> {
    const isRenamed = identity !== this.#identity && this.#buffer.last > 0;
    if (!isCut && !isRenamed) return true;
    const { isIntact, held } = await this.#compare();
    return isIntact && (held > 0 || !isRenamed);
  }

  /**
   * Compares what was emitted last with the bucket: what the bucket still holds of it must have been emitted like
   * that, and what it does not hold any more must have been written again. Whatever is there as it was emitted shows
   * that the bucket was not restored to an earlier state.
   * @returns with the highest number that the bucket holds as it was emitted, 0 for none
   */
  async #compare(): Promise<{ readonly isIntact: boolean; readonly held: number }> {
    const { last, oldest } = this.#buffer;
    let held = 0;
    let next = await this.#source.readNext(Math.max(oldest, last - COMPARED + 1));
    while (next && next.sequence <= last) {
      if (this.#buffer.hasEmitted(next)) held = next.sequence;
      else if (await this.#isThere(next)) return { isIntact: false, held };
      next = await this.#source.readNext(next.sequence + 1);
    }
    const later = this.#buffer.newestOfEachKey().filter(({ sequence }) => sequence > held);
    return { isIntact: await this.#areKept(later), held };
  }

  /** Whether each of these writes is there, or was replaced by a later one, or could have been removed since. */
  async #areKept(writes: readonly W[]): Promise<boolean> {
    const { last } = this.#buffer;
    const isKept = async (write: W) => {
      const next = await this.#source.readNext(write.sequence, write.key);
      if (!next) return !this.#source.outlasts(write);
      // A later write up to the last number would have been emitted.
      return next.sequence > last || this.#buffer.hasEmitted(next) || !(await this.#isThere(next));
    };
    const kept = await Promise.all(writes.slice(0, COMPARED).map(isKept));
    return !kept.includes(false);
  }

  /** A copy that lags behind may have given an entry that is not there any more. */
  async #isThere({ sequence }: W): Promise<boolean> {
    return (await this.#source.readSequence(sequence)) !== null;
  }

  /** @returns false where another leader, which lags behind, may have said that there is nothing more to read */
  async #readTo(position: Position): Promise<boolean> {
    const buffer = this.#buffer;
    const { last } = position;
    if (buffer.last >= last) return true;
    reading: for await (const batch of this.#source.scan(buffer.last + 1)) {
      for (const entry of batch.sort((one, other) => one.sequence - other.sequence)) {
        if (entry.sequence > last) break reading;
        buffer.acceptRead(entry);
      }
    }
    if (buffer.last < last) {
      if ((await this.#source.position()).term !== position.term) return false;
      buffer.skipTo(last, timeOf(position));
    }
    return true;
  }

  #isTooLate(position: Position): boolean {
    const completeAt = Math.max(this.#completeAt, this.#buffer.newest?.writtenAt() ?? 0);
    return timeOf(position) - completeAt > SHORTEST_TOMBSTONE;
  }

  /**
   * A leader elected a moment ago may not have applied yet what was acknowledged before. So its answers count once they
   * have been the same for long enough, without an election meanwhile.
   */
  #isLagPossible({ term }: Position, before: Doubt | undefined): boolean {
    if (term === "") return false;
    const at = now();
    this.#doubt = before?.term === term ? before : { term, since: at };
    return at - this.#doubt.since < this.#leaderLag;
  }
}

/** Whether the bucket may be another one, or has lost its last writes, or has got back entries that were gone. */
export function contradicts(position: Position, known: KnownPosition): boolean {
  return position.identity !== known.identity || hasLost(position, known);
}

function hasLost(position: Position, known: KnownPosition): boolean {
  return position.last < known.last || position.first < known.first;
}

function timeOf({ serverTime }: Position): number {
  return serverTime || Date.now();
}
