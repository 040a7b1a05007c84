import type { SessionStoreError } from "../errors.js";
import { API, type ApiError, apiError } from "./api-errors.js";
import type { Asker } from "./asker.js";
import { FIRST_PAUSE, longer, pauseUntil } from "./backoff.js";
import { DELETED, type Header, HeadersToSend } from "./headers.js";
import type { KnownRevisions } from "./known-revisions.js";
import type { Mux } from "./mux.js";
import type { OutageReason } from "./outage-reason.js";
import { ackIn, answerIn, isNoResponders, noLeader, notAnAnswer, tooLarge } from "./replies.js";
import { AnswerLost, EMPTY, type Reply, type Request, type Waiter } from "./request.js";
import type { StreamFacts } from "./stream.js";
import type { Subjects } from "./subjects.js";

/** A write that takes effect only on top of the given revision; 0 = only where the key has no entry. */
export interface Write {
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: readonly Header[];
  readonly expected: number;
  /** Time to live in whole seconds, for servers that keep one for each message. */
  readonly ttlSeconds: number;
}

/** What became of a write: its revision, or `conflict` (another revision is there), or `lost` (unknown). */
export type WriteAnswer = number | "conflict" | "lost";

const NO_HEADERS: readonly Header[] = [];
const EXPECTED_REVISION = "Nats-Expected-Last-Subject-Sequence";

/** Writes the entries of one bucket over one connection. */
export class Writer {
  constructor(
    private readonly mux: Mux,
    readonly subjects: Subjects,
    private readonly stream: StreamFacts,
    readonly reasons: OutageReason,
    private readonly known: KnownRevisions,
    private readonly asker: Asker,
  ) {}

  /** Writes a value; see {@link WriteAnswer}. */
  write(write: Write, deadline: number): Promise<WriteAnswer> {
    return this.#publish(write, deadline, NO_HEADERS);
  }

  /** Replaces an entry by a tombstone, which the official clients understand too (ADR-8). */
  remove(write: Omit<Write, "value">, deadline: number): Promise<WriteAnswer> {
    return this.#publish({ value: EMPTY, ...write }, deadline, DELETED);
  }

  #publish(write: Write, deadline: number, extra: readonly Header[]): Promise<WriteAnswer> {
    return new Promise((resolve, reject) => {
      const headers = this.#headersOf(write, extra);
      this.#checkSize(write.value.length, headers.size);
      const publication = new Publication(this, write, headers, deadline, resolve, reject);
      this.mux.send(publication, publication);
    });
  }

  /** What the server says of a write; `undefined` where it is to be sent again. */
  answerTo(write: Write, reply: Reply, headerSize: number): WriteAnswer | undefined {
    const sequence = ackIn(reply);
    if (sequence !== undefined) return this.#stored(write, sequence);
    if (isNoResponders(reply)) return undefined;
    const { error, seq } = answerIn<{ seq: number; error?: ApiError }>(reply);
    if (!error) return this.#stored(write, seq);
    if (error.err_code === API.wrongLastSequence) return "conflict";
    if (error.err_code === API.writeInFlight) return undefined;
    throw this.#refusal(error, write.value.length, headerSize);
  }

  /** Sends a write again that nobody has stored, until it is answered. */
  async publishAgain(write: Write, last: Reply, request: Publication): Promise<WriteAnswer> {
    let reply = last;
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      if (isNoResponders(reply)) await this.asker.pause(pause, request.deadline, noLeader(this.subjects));
      else await pauseUntil(pause, request.deadline, noLeader(this.subjects));
      reply = await this.mux.request(request);
      const answer = this.answerTo(write, reply, request.headers.size);
      if (answer !== undefined) return answer;
    }
  }

  /** @throws `ERR_SESSION_SERVER` for a revision that no server gives to this write */
  #stored({ key, expected }: Write, revision: number): number {
    if (!Number.isSafeInteger(revision) || revision <= expected) throw notAnAnswer();
    this.known.note(key, revision);
    return revision;
  }

  #headersOf(write: Write, extra: readonly Header[]): HeadersToSend {
    const headers = new HeadersToSend();
    for (const [name, value] of write.headers) headers.add(name, value);
    for (const [name, value] of extra) headers.add(name, value);
    headers.add(EXPECTED_REVISION, String(write.expected));
    if (this.stream.ttls) headers.add("Nats-TTL", `${write.ttlSeconds}s`);
    return headers;
  }

  #checkSize(value: number, header: number): void {
    const { maxMessageSize } = this.stream;
    const limit = Math.min(
      this.mux.maxPayload,
      maxMessageSize > 0 ? maxMessageSize : Number.POSITIVE_INFINITY,
    );
    // Tombstones are let through whatever the bucket allows: a session can always be ended, or the server says why not.
    if (value > 0 && value + header > limit) throw tooLarge(value, limit - header);
  }

  #refusal(error: ApiError, value: number, header: number): SessionStoreError {
    if (error.err_code !== API.messageTooLarge) return apiError(error, this.subjects);
    const { maxMessageSize } = this.stream;
    return tooLarge(value, maxMessageSize > 0 ? maxMessageSize - header : undefined);
  }
}

/** One write as the mux sends it, and what becomes of its reply: one object in place of a request and closures. */
class Publication implements Request, Waiter {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly reasons: OutageReason;
  readonly idempotent = false;

  constructor(
    private readonly writer: Writer,
    private readonly write: Write,
    readonly headers: HeadersToSend,
    readonly deadline: number,
    private readonly settle: (answer: WriteAnswer | Promise<WriteAnswer>) => void,
    private readonly fail: (error: unknown) => void,
  ) {
    this.subject = writer.subjects.write + write.key;
    this.payload = write.value;
    this.reasons = writer.reasons;
  }

  resolve(reply: Reply): void {
    const { writer, write, headers } = this;
    try {
      const answer = writer.answerTo(write, reply, headers.size);
      if (answer !== undefined) this.settle(answer);
      else writer.publishAgain(write, reply, this).then(this.settle, (error) => this.reject(error));
    } catch (error) {
      this.fail(error);
    }
  }

  reject(error: Error): void {
    if (error instanceof AnswerLost) this.settle("lost");
    else this.fail(error);
  }
}
