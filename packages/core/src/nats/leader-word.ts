import { unavailable } from "../errors.js";
import { SingleFlight } from "../util/single-flight.js";
import { now } from "../util/timers.js";
import { within } from "../util/within.js";

/**
 * How long it is believed that a bucket has one replica, in ms. It may get more at any time; a new replica answers
 * reads two seconds after it is up to date.
 */
const STANDS = 1000;

/** The next question is due when so much of the longest silence has passed: an election may take the rest. */
const DUE = 1 / 3;

/** What a bucket's leader said last: how many replicas there are, and that it was within reach. */
export class LeaderWord {
  #replicas: number;
  /** When the leader was asked how many replicas there are, in ms of `now()`. */
  #countedAt: number;
  /** When the leader was asked last; the opening may have been answered by a server without a leader. */
  #heardAt = Number.NEGATIVE_INFINITY;
  readonly #maxSilence: number;
  readonly #where: string;
  readonly #asking: SingleFlight<unknown>;

  /**
   * @param maxSilence how long a copy's answers count after the leader was heard last, in ms
   * @param ask asks the leader, and notes its answer
   * @param where the bucket is, for errors: see `StreamName`
   */
  constructor(replicas: number, maxSilence: number, ask: () => Promise<unknown>, where: string) {
    this.#replicas = replicas;
    this.#countedAt = now();
    this.#maxSilence = maxSilence;
    this.#where = where;
    this.#asking = new SingleFlight(ask);
  }

  /** @param askedAt when the leader was asked, in ms of `now()` */
  note(replicas: number, askedAt: number): void {
    this.#replicas = replicas;
    this.#countedAt = Math.max(this.#countedAt, askedAt);
    this.#heardAt = Math.max(this.#heardAt, askedAt);
  }

  /** Whether there was one replica, as far as is known. */
  get wasSole(): boolean {
    return this.#replicas === 1;
  }

  /** Whether there is only one replica, for certain. Asks again in good time, as long as anything depends on it. */
  isSole(): boolean {
    return this.#replicas === 1 && this.#isYounger(this.#countedAt, STANDS, STANDS / 2);
  }

  /** Whether the leader was heard lately enough for a copy's answer to count. Asks again in good time. */
  isHeard(): boolean {
    return this.#isYounger(this.#heardAt, this.#maxSilence, this.#maxSilence * DUE);
  }

  /** Resolves when the leader has been heard lately enough. @throws `ERR_SESSION_UNAVAILABLE` */
  async hear(deadline: number): Promise<void> {
    while (!this.isHeard()) {
      await within(deadline, this.#asking.run(), () =>
        unavailable(`the leader of the bucket${this.#where} has not been heard of for too long`),
      );
    }
  }

  #isYounger(askedAt: number, longest: number, due: number): boolean {
    const age = now() - askedAt;
    // Without an answer the next one to depend on it asks again.
    if (age > due) this.#asking.run().catch(() => {});
    return age <= longest;
  }
}
