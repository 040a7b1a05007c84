import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Told } from "./change.js";
import { type BareContext, deadlineOf } from "./context.js";
import { SessionStoreError } from "./errors.js";
import { WaitingLine } from "./waiting-line.js";
import { isUnavailable, type Position, unavailable, walkToEnd } from "./wire/index.js";

/** Who follows a tail. */
export interface TailListener {
  told(write: Told): void;
  /** Some writes can no longer be told. */
  missed(): void;
  /** The link is down. */
  cutOff(): void;
  /** Nothing follows. */
  failed(error: Error): void;
}

/**
 * Markers of sessions that have ended stay at least this long, in ms. What happened longer ago than this may
 * have left no trace.
 */
const SHORTEST_MARKER = 60_000;

/** How long to wait before reading is tried again while the link is up, in ms. */
const RETRY = 200;

/** A server may tell of two writes at a time in the wrong order (2.9 does); how long to wait for the other, in ms. */
const OUT_OF_ORDER = 25;

/** So many writes are kept that came too early; more are read from the bucket. */
const MOST_EARLY = 1000;

/** After so much silence the bucket is asked whether there was really nothing, in ms. */
const SILENCE = 5_000;

/** How long a leader elected a moment ago may be behind what it has acknowledged, in ms. */
const LEADER_LAG = 2_000;

/**
 * Follows the writes to a bucket, in order and each once, from when it is started until it is stopped.
 *
 * Every write has a sequence number and is republished once. So a number left out is a message lost: then, after
 * each reconnect, and after a silence, what was written since is read from the bucket, until both agree again. Of
 * an entry that was written several times meanwhile there is only the last write.
 */
export class ChangeTail {
  readonly #context: BareContext;
  readonly #listener: TailListener;
  #unwatch: (() => void) | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #stopped: Error | undefined;
  /** The last write that was told; `undefined` until it is known where to begin. */
  #last: number | undefined;
  /** The last write that is known of. */
  #known = 0;
  /** The first that was heard of. */
  #first = Number.POSITIVE_INFINITY;
  /** Which bucket it is: one that was deleted and created anew begins its numbers anew. */
  #createdAt = "";
  /** When all that had been written was told, unix ms. */
  #soundAt = 0;
  /** Writes that came before others that they follow. */
  readonly #early = new Map<number, Told>();
  /** Who waits until everything up to a number is told. */
  readonly #waiting = new WaitingLine();
  #mustLook = false;
  #reading = false;
  #catchingUp = false;
  #connected = true;

  constructor(context: BareContext, listener: TailListener) {
    this.#context = context;
    this.#listener = listener;
  }

  /**
   * Resolves when all that is written after it will be told. While nobody answers it waits.
   * @throws `ERR_SESSION_NO_FEED`, `ERR_SESSION_PERMISSION`, `ERR_SESSION_UNAVAILABLE` once the connection is closed
   */
  async start(): Promise<void> {
    const { bucket, options } = this.#context;
    this.#unwatch = bucket.watchChanges({
      message: (write) => this.#onMessage(write),
      disconnected: () => {
        this.#connected = false;
        this.#waiting.giveUp(unavailable("the NATS connection was lost"));
        this.#listener.cutOff();
      },
      reconnected: () => {
        this.#connected = true;
        this.#look();
      },
      failed: (error) => this.#fail(error),
    });
    if (!this.#unwatch) {
      throw new SessionStoreError(
        "ERR_SESSION_NO_FEED",
        `The bucket "${options.bucket}" does not republish its writes. Open the store with \`updateBucket: true\` (servers from 2.10 on), or create the bucket anew.`,
      );
    }
    const { sequence, createdAt } = await this.#position();
    if (this.#stopped) throw this.#stopped;
    this.#createdAt = createdAt;
    // What came before that answer is told too: it was written after this was asked for.
    this.#last = Math.min(sequence, this.#first - 1);
    this.#soundAt = Date.now();
    this.#watchdog = setInterval(() => this.#lookAfterSilence(), SILENCE).unref();
    this.#known = Math.max(this.#known, sequence);
    this.#tellEarly();
    this.#catchUpIfBehind();
  }

  /** Resolves when everything is told that was written before the call; rejects when the link breaks meanwhile. */
  async reachEnd(): Promise<void> {
    const { sequence: end, createdAt } = await this.#context.bucket.entries.position(
      deadlineOf(this.#context),
    );
    if (this.#stopped) throw this.#stopped;
    if (!this.#connected) throw unavailable("the NATS connection was lost");
    if (createdAt !== this.#createdAt) {
      this.#look();
      throw unavailable("the bucket was created anew");
    }
    if (end < this.#next) return;
    const reached = this.#waiting.until(end);
    this.#known = Math.max(this.#known, end);
    this.#catchUpIfBehind();
    await reached;
  }

  stop(why: Error = new SessionStoreError("ERR_SESSION_CLOSED", "Changes are not followed any more.")): void {
    this.#stopped ??= why;
    clearInterval(this.#watchdog);
    this.#unwatch?.();
    this.#waiting.giveUp(why);
  }

  /** Where the bucket ends now. */
  async #position(): Promise<Position> {
    for (;;) {
      try {
        const position = await this.#context.bucket.entries.position(deadlineOf(this.#context));
        // That a subscription was refused is told before that answer, but by way of an iterator.
        await turn();
        if (!this.#stopped) return position;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        if (!this.#stopped) await pause(RETRY);
      }
      if (this.#stopped) throw this.#stopped;
    }
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.stop(error);
    this.#listener.failed(error);
  }

  #onMessage(write: Told): void {
    if (this.#stopped) return;
    const { sequence } = write;
    this.#first = Math.min(this.#first, sequence);
    this.#known = Math.max(this.#known, sequence);
    if (sequence === this.#next && !this.#reading) {
      this.#tell(write);
      this.#tellEarly();
    } else if (sequence < this.#next) {
      // It comes late, or from a bucket that was created anew.
      this.#look();
    } else {
      if (this.#early.size < MOST_EARLY) this.#early.set(sequence, write);
      this.#catchUpIfBehind();
    }
  }

  #look(): void {
    this.#mustLook = true;
    this.#catchUpIfBehind();
  }

  #lookAfterSilence(): void {
    if (this.#connected && Date.now() - this.#soundAt >= SILENCE) this.#look();
  }

  #catchUpIfBehind(): void {
    if (this.#last !== undefined && this.#isBehind()) void this.#catchUp();
  }

  #isBehind(): boolean {
    return this.#mustLook || this.#known >= this.#next;
  }

  /** The number of the next write to tell. */
  get #next(): number {
    return this.#last === undefined ? 0 : this.#last + 1;
  }

  #tell(write: Told): void {
    this.#soundAt = Date.now();
    this.#listener.told(write);
    this.#reach(write.sequence);
  }

  #reach(sequence: number): void {
    this.#last = sequence;
    this.#waiting.reached(sequence);
  }

  /** Tells those that came too early, as far as they are in a row now. */
  #tellEarly(): void {
    for (const sequence of this.#early.keys()) if (sequence < this.#next) this.#early.delete(sequence);
    for (let write = this.#early.get(this.#next); write; write = this.#early.get(this.#next)) {
      this.#early.delete(write.sequence);
      this.#tell(write);
    }
  }

  async #catchUp(): Promise<void> {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    // A link that breaks ends the reading; it begins anew when the link is back.
    while (this.#connected && !this.#stopped && this.#isBehind()) {
      const before = this.#last;
      if (!this.#mustLook) await pause(OUT_OF_ORDER);
      if (!this.#isBehind()) break;
      this.#mustLook = false;
      this.#reading = true;
      try {
        await this.#readUp();
      } catch {
        this.#mustLook = true;
      }
      this.#reading = false;
      this.#tellEarly();
      if (this.#isBehind() && this.#last === before) await pause(RETRY);
    }
    this.#catchingUp = false;
  }

  /** Tells what was written since the last write that was told, as far as it has not come by itself. */
  async #readUp(): Promise<void> {
    const { bucket, keyStart } = this.#context;
    const startedAt = Date.now();
    const end = await this.#end();
    if (startedAt - this.#soundAt > SHORTEST_MARKER) this.#listener.missed();
    this.#soundAt = startedAt;
    const until = () => Math.min(end, Math.min(...this.#early.keys()) - 1);
    if (this.#next > until()) return;
    const readNext = (sequence: number) =>
      bucket.entries.readNext(`${keyStart}*`, sequence, deadlineOf(this.#context));
    reading: for await (const batch of walkToEnd(this.#next, readNext)) {
      for (const entry of batch.sort((one, other) => one.revision - other.revision)) {
        if (this.#stopped) return;
        if (entry.revision > until()) break reading;
        if (entry.revision < this.#next) continue;
        this.#tell({ ...entry, key: bucket.keyOf(entry.subject), sequence: entry.revision });
      }
    }
    this.#reach(Math.max(this.#next - 1, until()));
  }

  /** The last write to the bucket: at least what is known of, unless the bucket is another, or lost its end. */
  async #end(): Promise<number> {
    const known = this.#known;
    const patience = Date.now() + LEADER_LAG;
    for (;;) {
      const askedAt = Date.now();
      const { sequence, createdAt } = await this.#position();
      const isAnother = createdAt !== this.#createdAt;
      if (!isAnother && sequence >= known) return sequence;
      if (isAnother || askedAt > patience) {
        this.#createdAt = createdAt;
        this.#last = sequence;
        this.#known = sequence;
        this.#early.clear();
        this.#waiting.giveUp(unavailable("the bucket was created anew, or has lost its end"));
        this.#listener.missed();
        return sequence;
      }
      await pause(RETRY);
    }
  }
}

function pause(ms: number): Promise<void> {
  return sleep(ms, undefined, { ref: false });
}
