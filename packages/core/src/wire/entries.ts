import type { SessionStoreError } from "../errors.js";
import { Limiter } from "../limiter.js";
import type { Bucket } from "./bucket.js";
import type { Diagnosis } from "./diagnosis.js";
import { API, type ApiError, apiError, isUnavailable, unavailable } from "./failure.js";
import { HeadersToSend } from "./headers.js";
import { AnswerLost, type Mux, type Reply } from "./mux.js";
import { OwnWrites } from "./own-writes.js";
import { FIRST_PAUSE, longer, pauseUntil } from "./pause.js";
import {
  answerIn,
  directEntry,
  type Entry,
  isNoResponders,
  leaderEntry,
  type StreamState,
  streamState,
  tooLarge,
} from "./reply.js";
import type { Subjects } from "./subjects.js";

/** A write that takes effect only on top of the given revision; 0 = only where the key has no entry. */
export interface Write {
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: readonly Header[];
  /** `undefined` = whatever is there now. */
  readonly expected: number | undefined;
  /** Rounded life in whole seconds for the server, where it keeps TTLs. */
  readonly ttlSeconds: number;
}

/** What became of a write: its revision, or `conflict` (another revision is there), or `lost` (nobody knows). */
export type WriteAnswer = number | "conflict" | "lost";

/** Where a bucket ends. */
export interface Position {
  /** Of the last write. */
  readonly sequence: number;
  /** When the bucket was created, as the server writes it: one that was deleted and created anew is another. */
  readonly createdAt: string;
}

export type Header = readonly [name: string, value: string];

const EMPTY = new Uint8Array(0);
const NO_HEADERS: readonly Header[] = [];
/**
 * The reason makes it a marker in the eyes of the server too, which would otherwise tell of an expiry when the
 * marker's own time is over (ADR-43, tried on 2.14 and 2.15).
 */
const DELETED: readonly Header[] = [
  ["KV-Operation", "DEL"],
  ["Nats-Marker-Reason", "Remove"],
];

const EXPECTED_REVISION = "Nats-Expected-Last-Subject-Sequence";

/** Reads that ask the leader share it with all other clients: only so many at a time (rule 5). */
const LEADER_READS = 8;

/** How long a leader elected a moment ago may take to apply what was acknowledged before, in ms. */
const CATCH_UP = 500;

/** Reads and writes entries of one bucket; the only place, with the other files here, that speaks NATS. */
export class Entries {
  readonly #leaderReads = new Limiter(LEADER_READS, tooManyLeaderReads);
  /** Kept apart, so that a flood of ids that nobody has does not hold up sessions that exist. */
  readonly #confirmations = new Limiter(LEADER_READS, tooManyLeaderReads);
  readonly #ownWrites = new OwnWrites();

  constructor(
    private readonly mux: Mux,
    private readonly subjects: Subjects,
    private readonly bucket: Bucket,
    private readonly diagnosis: Diagnosis,
  ) {}

  /**
   * The entry of a key, or `null` when there is none. A replica may lag behind: it is believed only when it has
   * a live session that is not older than what this process wrote; otherwise the leader is asked.
   */
  read(key: string, deadline: number, isLive: (entry: Entry) => boolean): Promise<Entry | null> {
    return this.bucket.replicated
      ? this.#readConfirmed(key, deadline, isLive)
      : this.#readFromAny(key, deadline);
  }

  async #readConfirmed(
    key: string,
    deadline: number,
    isLive: (entry: Entry) => boolean,
  ): Promise<Entry | null> {
    const entry = await this.#readFromAny(key, deadline);
    if (entry && entry.revision >= this.#ownWrites.revisionOf(key) && isLive(entry)) return entry;
    const isUnknown = entry === null && this.#ownWrites.revisionOf(key) === 0;
    return this.readFromLeader(key, deadline, isUnknown ? this.#confirmations : this.#leaderReads);
  }

  /** As `read`, never from a replica that lags behind: for after a conflict, and before an end. */
  async readFromLeader(key: string, deadline: number, line = this.#leaderReads): Promise<Entry | null> {
    if (!this.bucket.replicated) return this.#readFromAny(key, deadline);
    const payload = Buffer.from(JSON.stringify({ last_by_subj: this.subjects.entry + key }));
    for (let pause = FIRST_PAUSE, isComplete = false; ; pause = longer(pause)) {
      const entry = await this.#askLeader(payload, deadline, line);
      const own = this.#ownWrites.revisionOf(key);
      if ((entry?.revision ?? 0) >= own) {
        if (entry) this.#ownWrites.note(key, entry.revision);
        return entry;
      }
      if (isComplete) {
        // It is no lag: the marker has expired too, or somebody purged the bucket.
        this.#ownWrites.forget(key);
        return entry;
      }
      // The leader may have been elected a moment ago and not have applied yet what was acknowledged before.
      isComplete = await this.#leaderHas(own, deadline);
      if (!isComplete) await this.#pauseBehind(key, pause, deadline);
    }
  }

  async #leaderHas(revision: number, deadline: number): Promise<boolean> {
    const { streamInfo, stream } = this.subjects;
    const state = await this.#ask(streamInfo, EMPTY, deadline, (reply) => streamState(reply, stream));
    return state.last_seq >= revision;
  }

  async #pauseBehind(key: string, pause: number, deadline: number): Promise<void> {
    try {
      await pauseUntil(pause, deadline, "the bucket's leader has not caught up");
    } catch (error) {
      // It may be another bucket under the same name: the next operation takes it as it is.
      this.#ownWrites.forget(key);
      throw error;
    }
  }

  /**
   * The first entry at or after a sequence number whose key fits the pattern. That there is none is what a
   * replica that lags behind says too, so the leader has to confirm it.
   */
  async readNext(pattern: string, sequence: number, deadline: number): Promise<Entry | null> {
    const query = { seq: sequence, next_by_subj: this.subjects.entry + pattern };
    const payload = Buffer.from(JSON.stringify(query));
    const entry = await this.#ask(this.subjects.directGetBySequence, payload, deadline, directEntry);
    return entry || !this.bucket.replicated ? entry : this.#askLeader(payload, deadline, this.#confirmations);
  }

  /** The last write to the bucket, as its leader has it, and which bucket it is. */
  async position(deadline: number): Promise<Position> {
    const { last_seq, created } = await this.#info(EMPTY, deadline);
    return { sequence: last_seq, createdAt: created };
  }

  /** The keys that fit a pattern, in pages, those of markers among them. The leader is asked, so none is missing. */
  async *keys(pattern: string, deadline: () => number): AsyncGenerator<string[]> {
    const { entry } = this.subjects;
    for (let offset = 0, total = 1; offset < total; ) {
      const query = { subjects_filter: entry + pattern, offset };
      const page = await this.#info(Buffer.from(JSON.stringify(query)), deadline());
      const subjects = Object.keys(page.subjects);
      if (subjects.length > 0) yield subjects.map((subject) => subject.slice(entry.length));
      total = subjects.length === 0 ? 0 : page.total;
      offset += subjects.length;
    }
  }

  /** What the leader says of the stream; not before it has all that this process wrote. */
  async #info(payload: Uint8Array, deadline: number): Promise<StreamState> {
    const { streamInfo, stream } = this.subjects;
    const patience = performance.now() + CATCH_UP;
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      const state = await this.#ask(streamInfo, payload, deadline, (reply) => streamState(reply, stream));
      if (state.last_seq >= this.#ownWrites.newest || performance.now() > patience) return state;
      await pauseUntil(pause, deadline, "the bucket's leader has not caught up");
    }
  }

  /** Writes a value; see {@link WriteAnswer}. */
  write(write: Write, deadline: number): Promise<WriteAnswer> {
    return this.#publish(write, deadline, NO_HEADERS);
  }

  /** Replaces an entry by a delete marker, which the official clients understand too (ADR-8); seldom with a value. */
  remove(
    write: Omit<Write, "value"> & { readonly value?: Uint8Array },
    deadline: number,
  ): Promise<WriteAnswer> {
    return this.#publish({ value: EMPTY, ...write }, deadline, DELETED);
  }

  async #publish(write: Write, deadline: number, extra: readonly Header[]): Promise<WriteAnswer> {
    const headers = this.#headersOf(write, extra);
    this.#checkSize(write.value.length, headers.size);
    const request = {
      subject: this.subjects.entry + write.key,
      payload: write.value,
      headers,
      deadline,
      idempotent: false,
    };
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      try {
        const reply = await this.mux.request(request);
        if (isNoResponders(reply)) {
          await this.#pauseUnanswered(pause, deadline, "the bucket has no leader at the moment");
        } else {
          const ack = answerIn<{ seq: number; error?: ApiError }>(reply);
          if (!ack.error) {
            if (this.bucket.replicated) this.#ownWrites.note(write.key, ack.seq);
            return ack.seq;
          }
          if (ack.error.err_code === API.wrongLastSequence) return "conflict";
          if (ack.error.err_code !== API.writeInFlight)
            throw this.#refusal(ack.error, write.value.length, headers.size);
          await pauseUntil(pause, deadline, "the bucket has no leader at the moment");
        }
      } catch (error) {
        if (error instanceof AnswerLost) return "lost";
        throw error;
      }
    }
  }

  #headersOf(write: Write, extra: readonly Header[]): HeadersToSend {
    const headers = new HeadersToSend();
    for (const [name, value] of write.headers) headers.add(name, value);
    for (const [name, value] of extra) headers.add(name, value);
    if (write.expected !== undefined) headers.add(EXPECTED_REVISION, String(write.expected));
    if (this.bucket.ttls) headers.add("Nats-TTL", `${write.ttlSeconds}s`);
    return headers;
  }

  #checkSize(value: number, header: number): void {
    const { maxMessageSize } = this.bucket;
    const limit = Math.min(
      this.mux.maxPayload,
      maxMessageSize > 0 ? maxMessageSize : Number.POSITIVE_INFINITY,
    );
    // Markers are let through whatever the bucket allows: a session can always be ended, or the server says why not.
    if (value > 0 && value + header > limit) throw tooLarge(value, limit - header);
  }

  #refusal(error: ApiError, value: number, header: number): SessionStoreError {
    if (error.err_code !== API.messageTooLarge) return apiError(error, this.subjects.stream);
    const { maxMessageSize } = this.bucket;
    return tooLarge(value, maxMessageSize > 0 ? maxMessageSize - header : undefined);
  }

  #readFromAny(key: string, deadline: number): Promise<Entry | null> {
    return this.#ask(this.subjects.directGet + key, EMPTY, deadline, directEntry);
  }

  #askLeader(payload: Uint8Array, deadline: number, line: Limiter): Promise<Entry | null> {
    const parse = (reply: Reply) => leaderEntry(reply, this.subjects.stream);
    return line.run(deadline, () => this.#ask(this.subjects.leaderGet, payload, deadline, parse));
  }

  /** Sends a read and asks again, until the deadline, while nobody is there to answer it. */
  async #ask<R>(
    subject: string,
    payload: Uint8Array,
    deadline: number,
    parse: (reply: Reply) => R,
  ): Promise<R> {
    const { diagnosis } = this;
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      const reply = await this.mux.request({ subject, payload, deadline, idempotent: true, diagnosis });
      let otherwise: string | SessionStoreError = "nobody answers for the bucket";
      try {
        if (!isNoResponders(reply)) return parse(reply);
      } catch (error) {
        // A cluster that is electing a leader says that it is unavailable for a moment.
        if (!isUnavailable(error)) throw error;
        otherwise = error;
      }
      await this.#pauseUnanswered(pause, deadline, otherwise);
    }
  }

  /** @throws the reason, at once when it is certain, else when the deadline would pass meanwhile */
  async #pauseUnanswered(
    pause: number,
    deadline: number,
    otherwise: string | SessionStoreError,
  ): Promise<void> {
    const reason = this.diagnosis.reason(deadline);
    if (reason?.certain) {
      const error = reason.error();
      // What is opened under that name later begins anew.
      if (error.code === "ERR_SESSION_BUCKET_MISSING") this.#ownWrites.clear();
      throw error;
    }
    await pauseUntil(pause, deadline, reason?.error() ?? otherwise);
  }
}

function tooManyLeaderReads(): SessionStoreError {
  return unavailable("too many sessions had to be confirmed by the bucket's leader at once");
}
