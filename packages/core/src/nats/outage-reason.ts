import type { StreamConfig } from "@nats-io/jetstream";
import { idleSleep, now } from "../util/timers.js";
import { type ApiError, apiError, jetStreamSilent, storesNothing } from "./api-errors.js";
import { DELETED, HeadersToSend } from "./headers.js";
import type { Mux } from "./mux.js";
import { answerIn, isNoResponders } from "./replies.js";
import { EMPTY, type Reason, type Reasons, type Reply, type Request } from "./request.js";
import { mismatch } from "./stream.js";
import { type BucketOptions, type Difference, differences } from "./stream-config.js";
import type { Subjects } from "./subjects.js";

/** Least time between two questions, in ms. */
const INTERVAL = 100;

/** So many questions in a row a server answers, but no write, before that is taken for a full disk. */
const ROUNDS = 5;

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
  /** The subject of a write that has had no answer since the last question. */
  #overdueWrite: string | undefined;

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

  get where(): string {
    return this.subjects.where;
  }

  /**
   * What is known by now, perhaps nothing; a later call may know more. It is never older than the operation, whose
   * start follows from its deadline: an earlier problem may be solved.
   */
  reason(deadline: number, overdueWrite?: string): Reason | undefined {
    this.#overdueWrite ??= overdueWrite;
    const isDue = now() >= this.#askedAt + INTERVAL;
    if (isDue && !this.#asking) void this.#ask();
    return this.#knownOf >= deadline - this.options.timeout ? this.#known : undefined;
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const askedAt = now();
    this.#askedAt = askedAt;
    const overdueWrite = this.#overdueWrite;
    this.#overdueWrite = undefined;
    const question = { subject: this.subjects.streamInfo, headers: undefined };
    try {
      this.#known = await this.#reasonIn(await this.#request(question), overdueWrite);
    } catch {
      // The requests that wait run into the same trouble themselves.
      this.#known = undefined;
    } finally {
      this.#asking = false;
      this.#knownOf = askedAt;
    }
  }

  async #reasonIn(reply: Reply, overdueWrite: string | undefined): Promise<Reason | undefined> {
    if (isNoResponders(reply)) {
      // The server's own JetStream has another reason. Another one, that it is connected to, may be starting.
      const isOwn = this.mux.hasJetStream && !this.subjects.isElsewhere;
      return isOwn ? undefined : { certain: false, error: () => jetStreamSilent(this.subjects) };
    }
    const { error, config } = answerIn<{ error?: ApiError; config?: StreamConfig }>(reply);
    if (error) {
      const make = () => apiError(error, this.subjects);
      const isMissing = make().code === "ERR_SESSION_BUCKET_MISSING";
      if (isMissing) this.missing();
      // A server that stops says for a moment that JetStream is off.
      return { certain: isMissing, error: make };
    }
    if (!config) return undefined;
    const found = differences(config, this.options, this.subjects).filter(({ field }) => STOPPING.has(field));
    if (found.length === 0) {
      const isTried = overdueWrite !== undefined && config.num_replicas === 1;
      const isStuck = isTried && (await this.#answersNoWrite(trialWrite(overdueWrite, config)));
      return isStuck ? { certain: false, error: () => storesNothing(this.subjects) } : undefined;
    }
    const fixable = found.every(({ fixable }) => fixable);
    return { certain: true, error: () => mismatch(this.subjects, found, fixable) };
  }

  /**
   * Whether the server answers everything but writes, as one from 2.14 on does whose disk was full, until it is
   * started again. It is sent a write of no meaning, then questions. A lost message, or a server that stood still or
   * was started again, lets that write be answered as soon as anything is.
   */
  async #answersNoWrite(trial: Pick<Request, "subject" | "headers">): Promise<boolean> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    this.#request(trial).then(over, over);
    for (let round = 0; round < ROUNDS && !isOver; round++) {
      await this.#request({ subject: this.subjects.streamInfo, headers: undefined });
      await idleSleep(INTERVAL);
    }
    return !isOver;
  }

  /** Sending it twice does no harm. */
  #request(request: Pick<Request, "subject" | "headers">): Promise<Reply> {
    const deadline = now() + this.options.timeout;
    return this.mux.request({ ...request, payload: EMPTY, deadline, idempotent: true, reasons: undefined });
  }
}

/** A tombstone under a key of its own, beside the entries: no session is read or listed under it. */
function trialWrite(entry: string, { allow_msg_ttl }: StreamConfig): Pick<Request, "subject" | "headers"> {
  const headers = new HeadersToSend();
  for (const [name, value] of DELETED) headers.add(name, value);
  if (allow_msg_ttl) headers.add("Nats-TTL", "60s");
  return { subject: [...entry.split(".").slice(0, -2), "write-trial"].join("."), headers };
}
