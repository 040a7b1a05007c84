import { now } from "../util/timers.js";

/**
 * How long it is believed that a bucket has one replica, in ms. It may get more at any time; a new replica answers
 * reads two seconds after it is up to date.
 */
const STANDS = 1000;

/** How many replicas a bucket has, as its leader said last. */
export class ReplicaCount {
  #count: number;
  #askedAt: number;
  readonly #ask: (deadline: number) => Promise<unknown>;
  #isAsking = false;

  /** @param ask asks the leader, and notes its answer */
  constructor(count: number, ask: (deadline: number) => Promise<unknown>) {
    this.#count = count;
    this.#askedAt = now();
    this.#ask = ask;
  }

  /** @param askedAt when the leader was asked, in ms of `now()` */
  note(count: number, askedAt: number): void {
    this.#count = count;
    this.#askedAt = askedAt;
  }

  /** Whether there is only one, for certain. Asks again in good time, as long as anything depends on it. */
  isOne(): boolean {
    if (this.#count !== 1) return false;
    const age = now() - this.#askedAt;
    if (age > STANDS / 2) void this.#refresh();
    return age <= STANDS;
  }

  async #refresh(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      await this.#ask(now() + STANDS);
    } catch {
      // Until there is an answer, the bucket is taken for one with several replicas.
    } finally {
      this.#isAsking = false;
    }
  }
}
