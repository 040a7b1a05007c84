import type { StreamConfig } from "@nats-io/jetstream";
import type { SessionStoreError } from "../errors.js";
import type { ResolvedOptions } from "../options.js";
import { mismatch } from "./bucket.js";
import { type Difference, differences } from "./bucket-config.js";
import { type ApiError, apiError, jetStreamSilent } from "./failure.js";
import { textOf } from "./headers.js";
import type { Mux, Reply } from "./mux.js";
import { isNoResponders } from "./reply.js";
import type { Subjects } from "./subjects.js";

/** Why nobody answers for a bucket. */
export interface Reason {
  /** Whether waiting is in vain: the server says what is wrong, and somebody has to mend it. */
  readonly certain: boolean;
  error(): SessionStoreError;
}

/** Least time between two questions, in ms. */
const INTERVAL = 100;

const EMPTY = new Uint8Array(0);

/** Differences with which the server answers no reads or no writes at all. */
const STOPPING: ReadonlySet<Difference["field"]> = new Set(["subjects", "sealed", "allow_direct"]);

/**
 * Finds out why requests for the bucket have no answer: the stream was deleted or changed, or JetStream turned
 * off. One question at a time is asked for all requests that wait, in the background, and only when something
 * is wrong already.
 */
export class Diagnosis {
  #asking = false;
  #known: Reason | undefined;
  /** When what is known was asked for, and when something was asked last, in ms of `performance.now()`. */
  #knownOf = 0;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly mux: Mux,
    private readonly subjects: Subjects,
    private readonly options: ResolvedOptions,
    private readonly ttls: boolean,
  ) {}

  /**
   * What is known by now, perhaps nothing; the next call may know more. It is never older than the operation,
   * which is told by its deadline: what was wrong before may be mended.
   */
  reason(deadline: number): Reason | undefined {
    const isDue = performance.now() >= this.#askedAt + INTERVAL;
    if (isDue && !this.#asking) void this.#ask();
    return this.#knownOf >= deadline - this.options.timeout ? this.#known : undefined;
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const now = performance.now();
    this.#askedAt = now;
    try {
      const deadline = now + this.options.timeout;
      const request = { subject: this.subjects.streamInfo, payload: EMPTY, deadline, idempotent: true };
      this.#known = this.#reasonIn(await this.mux.request(request));
    } catch {
      // Who waits for an answer is told of the same trouble by their own request.
      this.#known = undefined;
    } finally {
      this.#asking = false;
      this.#knownOf = now;
    }
  }

  #reasonIn(reply: Reply): Reason | undefined {
    if (isNoResponders(reply)) {
      // Where the server has no JetStream of its own, another one that it is connected to may be starting.
      return this.mux.hasJetStream ? undefined : { certain: false, error: jetStreamSilent };
    }
    const { error, config } = JSON.parse(textOf(reply.data)) as { error?: ApiError; config?: StreamConfig };
    if (error) {
      const make = () => apiError(error, this.subjects.stream);
      // A server that stops says for a moment that JetStream is off.
      return { certain: make().code === "ERR_SESSION_BUCKET_MISSING", error: make };
    }
    if (!config) return undefined;
    const found = differences(config, this.options, this.subjects, this.ttls).filter(({ field }) =>
      STOPPING.has(field),
    );
    if (found.length === 0) return undefined;
    const mendable = found.every(({ mendable }) => mendable);
    return { certain: true, error: () => mismatch(this.options.bucket, found, mendable) };
  }
}
