import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Told } from "./change.js";
import { type BareContext, deadlineOf } from "./context.js";
import { SessionStoreError } from "./errors.js";
import { unavailable, walkToEnd } from "./wire/index.js";

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
 * Markers of sessions that have ended stay at least this long, in ms. After a longer time without a link some
 * may be gone.
 */
const SHORTEST_MARKER = 60_000;

/** How long to wait before reading is tried again while the link is up and nobody answers, in ms. */
const RETRY = 200;

/** How long republished writes may take to arrive after an answer that knows of them, in ms. */
const GRACE = 20;

interface Waiting {
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Follows the writes to a bucket, in order and each once, from when it is started until it is stopped.
 *
 * Every write has a sequence number and is republished once. So a number left out is a message lost: then, and
 * after each reconnect, what was written since is read from the bucket, until both agree again. Of an entry that
 * was written several times meanwhile there is only the last write.
 */
export class ChangeTail {
  readonly #context: BareContext;
  readonly #listener: TailListener;
  #unwatch: (() => void) | undefined;
  #stopped: Error | undefined;
  /** The last write that was told; `undefined` until it is known where to begin. */
  #last: number | undefined;
  /** The last write that is known of. */
  #known = 0;
  readonly #waiting = new Set<Waiting>();
  #catchingUp = false;
  #connected = true;
  #cutOffAt: number | undefined;

  constructor(context: BareContext, listener: TailListener) {
    this.#context = context;
    this.#listener = listener;
  }

  /**
   * Resolves when all that is written after it will be told.
   * @throws `ERR_SESSION_NO_FEED`, `ERR_SESSION_PERMISSION`, `ERR_SESSION_UNAVAILABLE`
   */
  async start(): Promise<void> {
    const { bucket, options } = this.#context;
    this.#unwatch = bucket.watchChanges({
      message: (write) => this.#onMessage(write),
      disconnected: () => {
        this.#connected = false;
        this.#cutOffAt ??= Date.now();
        this.#giveUpWaiting(unavailable("the NATS connection was lost"));
        this.#listener.cutOff();
      },
      reconnected: () => {
        this.#connected = true;
        void this.#catchUp();
      },
      failed: (error) => this.#fail(error),
    });
    if (!this.#unwatch) {
      throw new SessionStoreError(
        "ERR_SESSION_NO_FEED",
        `The bucket "${options.bucket}" does not republish its writes. Open the store with \`updateBucket: true\` (servers from 2.10 on), or create the bucket anew.`,
      );
    }
    const last = await bucket.entries.lastSequence(deadlineOf(this.#context));
    // That a subscription was refused is told before that answer, but by way of an iterator.
    await turn();
    if (this.#stopped) throw this.#stopped;
    this.#last ??= last;
    this.#know(last);
  }

  /** Resolves when everything is told that was written before the call; rejects when the link breaks meanwhile. */
  async reachEnd(): Promise<void> {
    const end = await this.#context.bucket.entries.lastSequence(deadlineOf(this.#context));
    // What was written last may be on its way still.
    if (!this.#hasReached(end)) await sleep(GRACE, undefined, { ref: false });
    if (this.#stopped) throw this.#stopped;
    if (!this.#connected) throw unavailable("the NATS connection was lost");
    if (this.#hasReached(end)) return;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.add({ end, resolve, reject });
      this.#know(end);
    });
  }

  stop(why: Error = new SessionStoreError("ERR_SESSION_CLOSED", "Changes are not followed any more.")): void {
    this.#stopped ??= why;
    this.#unwatch?.();
    this.#giveUpWaiting(why);
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.stop(error);
    this.#listener.failed(error);
  }

  #onMessage(write: Told): void {
    if (this.#stopped) return;
    this.#last ??= write.sequence - 1;
    if (write.sequence === this.#last + 1 && !this.#catchingUp) this.#tell(write);
    else this.#know(write.sequence);
  }

  /** Nothing up to this number is to be left out. */
  #know(sequence: number): void {
    this.#known = Math.max(this.#known, sequence);
    if (this.#last !== undefined && this.#known > this.#last) void this.#catchUp();
  }

  #tell(write: Told): void {
    this.#listener.told(write);
    this.#reach(write.sequence);
  }

  #hasReached(end: number): boolean {
    return this.#last !== undefined && this.#last >= end;
  }

  #reach(sequence: number): void {
    this.#last = sequence;
    this.#known = Math.max(this.#known, sequence);
    for (const waiting of this.#waiting) {
      if (waiting.end > sequence) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  #giveUpWaiting(why: Error): void {
    for (const { reject } of this.#waiting) reject(why);
    this.#waiting.clear();
  }

  async #catchUp(): Promise<void> {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    try {
      // A link that breaks ends the reading; it begins anew when the link is back.
      while (this.#connected && !this.#stopped) {
        if (await this.#readUp().catch(() => false)) break;
        await sleep(RETRY, undefined, { ref: false });
      }
    } finally {
      this.#catchingUp = false;
    }
  }

  /** Reads what was written since the last write that was told. @returns whether that is all that is known of */
  async #readUp(): Promise<boolean> {
    const { bucket, keyStart } = this.#context;
    const end = await bucket.entries.lastSequence(deadlineOf(this.#context));
    this.#forgetAfterCut(end);
    const from = (this.#last ?? end) + 1;
    const readNext = (sequence: number) =>
      bucket.entries.readNext(`${keyStart}*`, sequence, deadlineOf(this.#context));
    for await (const batch of walkToEnd(from, readNext)) {
      for (const entry of batch.sort((one, other) => one.revision - other.revision)) {
        if (this.#stopped) return true;
        if (entry.revision <= (this.#last ?? 0)) continue;
        this.#tell({ ...entry, key: bucket.keyOf(entry.subject), sequence: entry.revision });
      }
    }
    this.#reach(Math.max(this.#last ?? 0, end));
    return this.#hasReached(this.#known);
  }

  /** What is so long ago, or from a bucket that was created anew, cannot be read up. */
  #forgetAfterCut(end: number): void {
    const isAnother = end < (this.#last ?? 0);
    const isLongAgo = this.#cutOffAt !== undefined && Date.now() - this.#cutOffAt > SHORTEST_MARKER;
    this.#cutOffAt = undefined;
    if (isAnother) {
      this.#last = end;
      this.#known = end;
    }
    if (isAnother || isLongAgo) this.#listener.missed();
  }
}
