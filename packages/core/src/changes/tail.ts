import { isUnavailable, SessionStoreError, unavailable } from "../errors.js";
import type { Position } from "../nats/bucket.js";
import type { ChangeMessage } from "../nats/changes.js";
import { clearInterval, idleSleep, nextTurn, setInterval } from "../util/timers.js";
import { WaitingLine } from "../util/waiting-line.js";
import { BucketReads, type TailContext } from "./bucket-reads.js";
import { CatchUp, contradicts } from "./catch-up.js";
import { isSameWrite } from "./change.js";
import { GapBuffer } from "./gap-buffer.js";

export interface TailListener {
  wrote(write: ChangeMessage): void;
  /** The link is down. */
  cut(): void;
  /** The link is up again, and everything written meanwhile was emitted. */
  resumed(): void;
  /** Some writes can no longer be emitted. */
  missed(): void;
  /** No more writes will be emitted. */
  failed(error: Error): void;
}

/** How long to wait before a failed read is repeated, in ms; each further time twice as long. */
const RETRY = 200;
const LONGEST_RETRY = 2_000;

/** How long to wait for a message that others have overtaken, in ms. */
const OUT_OF_ORDER = 25;

/** After so much silence the bucket is asked whether nothing was written, in ms. */
const SILENCE = 5_000;

/**
 * Follows the writes to a bucket, in order and each once.
 *
 * Every write has a sequence number and is republished at most once, so a missing number is a lost message. Then,
 * after each reconnect and after a silence, the tail reads from the bucket what was written since, until both agree.
 * Of an entry that was written several times meanwhile the bucket holds the last write only.
 */
export class ChangeTail {
  readonly #context: TailContext;
  readonly #listener: TailListener;
  readonly #reads: BucketReads;
  readonly #buffer: GapBuffer<ChangeMessage>;
  readonly #catchUp: CatchUp<ChangeMessage>;
  /** Callers that wait until everything up to a number is emitted. */
  readonly #waiting = new WaitingLine();
  #unwatch: (() => void) | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #stopped: Error | undefined;
  #hasBegun = false;
  #isConnected = true;
  /** From a disconnection until everything written meanwhile was emitted. */
  #isCut = false;
  #cuts = 0;
  /** Whether what was emitted has to be compared with the bucket. */
  #mustCheck = false;
  #isCatchingUp = false;
  #isSilent = true;
  /** The bucket is known to reach up to here. */
  #end = 0;

  constructor(context: TailContext, listener: TailListener) {
    this.#context = context;
    this.#listener = listener;
    const reads = new BucketReads(context);
    this.#reads = reads;
    this.#buffer = new GapBuffer({ emit: (write) => this.#onWrite(write), isSame: isSameWrite });
    this.#catchUp = new CatchUp(this.#buffer, reads, (isReplaced) => this.#onMissed(isReplaced));
  }

  /**
   * Resolves when everything written after it will be emitted. While the server is away it keeps trying.
   * @throws `ERR_SESSION_NO_FEED`, `ERR_SESSION_PERMISSION`, why the bucket cannot be opened; the reason of `stop`
   */
  async start(): Promise<void> {
    const { bucket } = this.#context;
    await this.#untilAvailable(async () => {
      await bucket.open(this.#reads.deadline());
      if (!this.#stopped) this.#watch();
    });
    await this.#untilAvailable(async () => {
      const position = await this.#reads.position();
      // The client reports a refused subscription before that answer, but in a later turn.
      await nextTurn();
      if (!this.#stopped) await this.#catchUp.begin(position);
    });
    this.#hasBegun = true;
    this.#isCut = !this.#isConnected;
    if (this.#isCut) this.#listener.cut();
    else this.#buffer.release();
    this.#watchdog = setInterval(() => this.#onTick(), SILENCE).unref();
    this.#catchUpIfBehind();
  }

  /**
   * Resolves when everything is emitted that was written before the call.
   * @returns where the bucket began and ended after the call
   * @throws when the connection breaks meanwhile, or the bucket contradicts what was emitted
   */
  async reachEnd(): Promise<Position> {
    if (!this.#hasBegun) throw unavailable("the change feed has not begun");
    const { known } = this.#catchUp;
    const position = await this.#reads.position();
    if (this.#stopped) throw this.#stopped;
    if (!this.#isConnected) throw unavailable("the NATS connection was lost");
    if (contradicts(position, known)) throw this.#doubt();
    this.#end = Math.max(this.#end, position.last);
    const reached = this.#waiting.until(position.last);
    this.#settle();
    this.#catchUpIfBehind();
    await reached;
    if (await this.#catchUp.isPurged(position)) throw this.#doubt();
    return position;
  }

  stop(why: Error = new SessionStoreError("ERR_SESSION_CLOSED", "The change feed was stopped.")): void {
    this.#stopped ??= why;
    clearInterval(this.#watchdog);
    this.#unwatch?.();
    this.#waiting.giveUp(why);
  }

  #watch(): void {
    this.#unwatch ??= this.#context.bucket.watch({
      message: (write) => this.#onMessage(write),
      disconnected: () => this.#onDisconnected(),
      reconnected: () => {
        this.#isConnected = true;
        this.#check();
      },
      failed: (error) => this.#fail(error),
    });
  }

  async #untilAvailable(task: () => Promise<void>): Promise<void> {
    for (let pause = RETRY; ; pause = Math.min(2 * pause, LONGEST_RETRY)) {
      try {
        await task();
      } catch (error) {
        if (!isUnavailable(error) || this.#context.bucket.isOver) throw this.#stopped ?? error;
        if (!this.#stopped) await idleSleep(pause);
        if (!this.#stopped) continue;
      }
      if (this.#stopped) throw this.#stopped;
      return;
    }
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.stop(error);
    this.#listener.failed(error);
  }

  #onMessage(write: ChangeMessage): void {
    if (this.#stopped) return;
    this.#isSilent = false;
    this.#buffer.receive(write);
    this.#settle();
    this.#catchUpIfBehind();
  }

  #onDisconnected(): void {
    this.#isConnected = false;
    this.#cuts++;
    this.#buffer.cut();
    this.#waiting.giveUp(unavailable("the NATS connection was lost"));
    if (this.#isCut || !this.#hasBegun) return;
    this.#isCut = true;
    this.#listener.cut();
  }

  /** What was being read when the tail was stopped is nobody's any more: another one may have begun since. */
  #onWrite(write: ChangeMessage): void {
    if (!this.#stopped) this.#listener.wrote(write);
  }

  #onMissed(isReplaced: boolean): void {
    if (isReplaced) {
      this.#end = 0;
      this.#context.bucket.entries.known.clear();
      this.#waiting.giveUp(replaced());
    }
    if (!this.#stopped) this.#listener.missed();
  }

  #doubt(): Error {
    this.#check();
    return replaced();
  }

  #onTick(): void {
    if (this.#isSilent && this.#isConnected) this.#check();
    this.#isSilent = true;
  }

  #check(): void {
    this.#mustCheck = true;
    this.#catchUpIfBehind();
  }

  /** Lets those go on who have waited, unless what was emitted is in doubt. */
  #settle(): void {
    if (!this.#mustCheck && !this.#buffer.isContradicted) this.#waiting.reached(this.#buffer.last);
  }

  get #isBehind(): boolean {
    return this.#mustCheck || this.#buffer.isBehind || this.#end > this.#buffer.last;
  }

  #catchUpIfBehind(): void {
    if (this.#hasBegun && !this.#isCatchingUp && this.#isBehind) void this.#bringUpToDate();
  }

  /** A link that breaks ends it; it begins again when the link is back. */
  async #bringUpToDate(): Promise<void> {
    this.#isCatchingUp = true;
    let pause = RETRY;
    while (this.#isConnected && !this.#stopped && this.#isBehind) {
      if (!this.#mustCheck) {
        await idleSleep(OUT_OF_ORDER);
        if (!this.#isBehind) break;
      }
      const before = this.#buffer.last;
      const isDone = await this.#attempt();
      if (isDone && this.#buffer.last !== before) pause = RETRY;
      else if (this.#isBehind) {
        await idleSleep(pause);
        pause = isDone ? RETRY : Math.min(2 * pause, LONGEST_RETRY);
      }
    }
    this.#isCatchingUp = false;
  }

  async #attempt(): Promise<boolean> {
    const cuts = this.#cuts;
    let isDone = false;
    this.#mustCheck = false;
    this.#buffer.hold();
    try {
      isDone = await this.#catchUp.run(this.#isCut);
    } catch {
      // Nothing is lost: it is tried again.
    }
    if (isDone && this.#isCut && cuts === this.#cuts) this.#resume();
    if (!isDone) this.#mustCheck = true;
    // What comes in the moments after a cut may be forged, and the real message may have been lost in the cut.
    if (!this.#isCut) this.#buffer.release();
    this.#settle();
    return isDone;
  }

  #resume(): void {
    this.#isCut = false;
    if (!this.#stopped) this.#listener.resumed();
  }
}

function replaced(): Error {
  return unavailable("the bucket was replaced, purged, or has lost its last writes");
}
