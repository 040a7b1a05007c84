import type { StreamConfig } from "@nats-io/jetstream";
import { now } from "../util/timers.js";
import { type ApiError, apiError, jetStreamSilent, storesNothing } from "./api-errors.js";
import type { Mux } from "./mux.js";
import { answerIn, isNoResponders } from "./replies.js";
import type { Reason, Reasons, Reply } from "./request.js";
import { mismatch } from "./stream.js";
import { type BucketOptions, type Difference, differences } from "./stream-config.js";
import type { Subjects } from "./subjects.js";

/** Least time between two questions, in ms. */
const INTERVAL = 100;

const EMPTY = new Uint8Array(0);

/** Differences with which the server answers no reads or no writes at all. */
const STOPPING: ReadonlySet<Difference["field"]> = new Set(["subjects", "sealed", "allow_direct"]);

/**
 * Finds out why requests for the bucket have no answer: the stream was deleted or changed, or JetStream turned off.
 * It asks in the background, one question at a time for all requests that wait, and only when answers are overdue.
 */
export class OutageReason implements Reasons {
  #asking = false;
  #known: Reason | undefined;
  /** When the known reason was asked for, and when the last question went out, in ms of `now()`. */
  #knownOf = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** Whether a write has had no answer since the last question. */
  #isWriteOverdue = false;
  /** The bucket's last number when it was asked for because of such a write. */
  #unstored: { readonly last: number; readonly at: number } | undefined;

  constructor(
    private readonly mux: Mux,
    private readonly subjects: Subjects,
    private readonly options: BucketOptions,
    /** Called when the bucket is found to be missing. */
    private readonly missing: () => void,
  ) {}

  /** Name of the bucket. */
  get bucket(): string {
    return this.options.bucket;
  }

  /**
   * What is known by now, perhaps nothing; a later call may know more. It is never older than the operation, whose
   * start follows from its deadline: an earlier problem may be solved.
   */
  reason(deadline: number, isWrite: boolean): Reason | undefined {
    this.#isWriteOverdue ||= isWrite;
    const isDue = now() >= this.#askedAt + INTERVAL;
    if (isDue && !this.#asking) void this.#ask();
    return this.#knownOf >= deadline - this.options.timeout ? this.#known : undefined;
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const askedAt = now();
    this.#askedAt = askedAt;
    const isWriteOverdue = this.#isWriteOverdue;
    this.#isWriteOverdue = false;
    try {
      const reply = await this.mux.request({
        subject: this.subjects.streamInfo,
        payload: EMPTY,
        headers: undefined,
        deadline: askedAt + this.options.timeout,
        idempotent: true,
        reasons: undefined,
      });
      this.#known = this.#reasonIn(reply, askedAt, isWriteOverdue);
    } catch {
      // The requests that wait run into the same trouble themselves.
      this.#known = undefined;
    } finally {
      this.#asking = false;
      this.#knownOf = askedAt;
    }
  }

  #reasonIn(reply: Reply, askedAt: number, isWriteOverdue: boolean): Reason | undefined {
    if (isNoResponders(reply)) {
      // Where the server has no JetStream of its own, another one that it is connected to may be starting.
      return this.mux.hasJetStream ? undefined : { certain: false, error: jetStreamSilent };
    }
    const { error, config, state } = answerIn<{
      error?: ApiError;
      config?: StreamConfig;
      state?: { last_seq: number };
    }>(reply);
    if (error) {
      const make = () => apiError(error, this.subjects.stream);
      const isMissing = make().code === "ERR_SESSION_BUCKET_MISSING";
      if (isMissing) this.missing();
      // A server that stops says for a moment that JetStream is off.
      return { certain: isMissing, error: make };
    }
    if (!config) return undefined;
    const found = differences(config, this.options, this.subjects).filter(({ field }) => STOPPING.has(field));
    if (found.length === 0) {
      const isStuck =
        isWriteOverdue && config.num_replicas === 1 && this.#storesNothing(state?.last_seq ?? 0, askedAt);
      return isStuck ? { certain: false, error: storesNothing } : undefined;
    }
    const fixable = found.every(({ fixable }) => fixable);
    return { certain: true, error: () => mismatch(this.options.bucket, found, fixable) };
  }

  /**
   * Whether nothing was stored between two questions although writes waited for an answer. A server from 2.14 on
   * whose disk was full answers everything but writes, until it is started again.
   */
  #storesNothing(last: number, askedAt: number): boolean {
    const before = this.#unstored;
    this.#unstored = { last, at: askedAt };
    return before?.last === last && askedAt - before.at <= this.options.timeout;
  }
}
