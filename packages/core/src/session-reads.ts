import { setImmediate as turn } from "node:timers/promises";
import { type BareContext, deadlineOf, liveMetadata, liveSession, type StoredSession } from "./context.js";
import { isLive } from "./expiry.js";
import type { NearCache } from "./near-cache.js";
import type { Entry } from "./wire/index.js";

/**
 * How long others may join a read that is under way, in ms: what they get is the answer to a question no older
 * than that.
 */
const JOIN_WITHIN = 10;

interface Reading {
  readonly session: Promise<StoredSession | null>;
  /** In ms of `performance.now()`. */
  readonly since: number;
}

/**
 * Reads live sessions by their handles: from the near cache where there is one, else from the bucket, many readers
 * of one session with one request.
 *
 * Different sessions are read by a request each. One `multi_last` request for all was measured: the server goes
 * through the blocks of the stream for it, at 100 000 sessions 7 to 50 times slower (test/bench, `gather`).
 */
export class SessionReads {
  readonly #context: BareContext;
  readonly #cache: NearCache | undefined;
  readonly #underWay = new Map<string, Reading>();
  #turn: Promise<void> | undefined;

  constructor(context: BareContext, cache: NearCache | undefined) {
    this.#context = context;
    this.#cache = cache;
  }

  async read(handle: string): Promise<StoredSession | null> {
    if (this.#cache) {
      await this.#endOfTurn();
      const cached = this.#cache.get(handle);
      if (cached) return this.#alive(cached);
    }
    const now = performance.now();
    const reading = this.#underWay.get(handle);
    if (reading && now - reading.since < JOIN_WITHIN) return reading.session;
    return this.#start(handle, now);
  }

  /**
   * To be called before a write of ours; what it gives, after it, with what is stored then: nothing where there is
   * no session, or nobody knows. Who reads later does not join a reader from before.
   */
  beginWrite(handle: string): (stored: StoredSession | null) => void {
    const underWay = this.#cache?.begin(handle);
    return (stored) => {
      this.#underWay.delete(handle);
      if (underWay) this.#cache?.end(handle, underWay, stored);
    };
  }

  /**
   * The cache answers all of a turn together, as answers from the bucket come: an HTTP server then writes many
   * responses in a row, which costs it less than a write between two reads.
   */
  #endOfTurn(): Promise<void> {
    this.#turn ??= turn().then(() => {
      this.#turn = undefined;
    });
    return this.#turn;
  }

  #start(handle: string, since: number): Promise<StoredSession | null> {
    const reading = { session: this.#readFromBucket(handle), since };
    this.#underWay.set(handle, reading);
    const leave = () => {
      if (this.#underWay.get(handle) === reading) this.#underWay.delete(handle);
    };
    reading.session.then(leave, leave);
    return reading.session;
  }

  async #readFromBucket(handle: string): Promise<StoredSession | null> {
    const { bucket, keyStart } = this.#context;
    const underWay = this.#cache?.begin(handle);
    let session: StoredSession | null = null;
    try {
      const entry = await bucket.entries.read(keyStart + handle, deadlineOf(this.#context), this.#isLive);
      session = liveSession(this.#context, handle, entry);
      return session;
    } finally {
      if (underWay) this.#cache?.end(handle, underWay, session);
    }
  }

  #isLive = (entry: Entry): boolean => liveMetadata(this.#context, entry) !== null;

  /** What is kept may have come to its end meanwhile. */
  #alive(session: StoredSession): StoredSession | null {
    return isLive(session.metadata, Date.now(), this.#context.options) ? session : null;
  }
}
