import { headers, type MsgHdrs } from "@nats-io/nats-core";
import type { SessionStoreError } from "../errors.js";
import { encodeMetadata, type Metadata } from "../record.js";
import type { Bucket } from "./bucket.js";
import { API, type ApiError, apiError } from "./failure.js";
import { Limiter } from "./limiter.js";
import { AnswerLost, type Mux, type Reply } from "./mux.js";
import { OwnWrites } from "./own-writes.js";
import { FIRST_PAUSE, longer, pauseUntil } from "./pause.js";
import { directEntry, type Entry, isNoResponders, leaderEntry, tooLarge } from "./reply.js";
import type { Subjects } from "./subjects.js";

/** A write that takes effect only on top of the given revision; 0 = only where the key has no entry. */
export interface Write {
  readonly key: string;
  readonly value: Uint8Array;
  readonly metadata: Metadata;
  /** `undefined` = whatever is there now. */
  readonly expected: number | undefined;
  /** Rounded life in whole seconds for the server, where it keeps TTLs. */
  readonly ttlSeconds: number;
}

/** What became of a write: its revision, or `conflict` (another revision is there), or `lost` (nobody knows). */
export type WriteAnswer = number | "conflict" | "lost";

const EMPTY = new Uint8Array(0);
const EMPTY_LIST: readonly string[] = [];

/** Room for the headers of a write, which are of bounded length. */
const HEADER_ROOM = 512;

/** Reads that ask the leader share it with all other clients: only so many at a time (rule 5). */
const LEADER_READS = 8;

/** How long a leader elected a moment ago may take to apply what was acknowledged before, in ms. */
const CATCH_UP = 500;

/** Reads and writes entries of one bucket; the only place, with the other files here, that speaks NATS. */
export class Entries {
  readonly #leaderReads = new Limiter(LEADER_READS);
  readonly #ownWrites = new OwnWrites();

  constructor(
    private readonly mux: Mux,
    private readonly subjects: Subjects,
    private readonly bucket: Bucket,
  ) {}

  /**
   * The entry of a key, or `null` when there is none. A replica that may lag behind is believed only when it
   * has an entry that is not older than what this process wrote; otherwise the leader is asked.
   */
  async read(key: string, deadline: number): Promise<Entry | null> {
    const entry = await this.#ask(`${this.subjects.directGet}${key}`, EMPTY, deadline, directEntry);
    if (!this.bucket.replicated) return entry;
    if (entry && entry.revision >= this.#ownWrites.revisionOf(key)) return entry;
    return this.readFromLeader(key, deadline);
  }

  /** As `read`, never from a replica that lags behind: for after a conflict. */
  async readFromLeader(key: string, deadline: number): Promise<Entry | null> {
    if (!this.bucket.replicated) return this.read(key, deadline);
    const payload = Buffer.from(JSON.stringify({ last_by_subj: this.subjects.entry + key }));
    const patience = performance.now() + CATCH_UP;
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      const entry = await this.#leaderReads.run(deadline, () =>
        this.#ask(this.subjects.leaderGet, payload, deadline, (reply) =>
          leaderEntry(reply, this.subjects.stream),
        ),
      );
      if ((entry?.revision ?? 0) >= this.#ownWrites.revisionOf(key)) return entry;
      if (performance.now() > patience) {
        // It is no lag: the marker has expired too, or somebody purged the bucket.
        this.#ownWrites.forget(key);
        return entry;
      }
      await pauseUntil(pause, deadline, "the bucket's leader has not caught up");
    }
  }

  /** The first entry at or after a sequence number whose key fits the pattern, from any replica. */
  readNext(pattern: string, sequence: number, deadline: number): Promise<Entry | null> {
    const query = { seq: sequence, next_by_subj: this.subjects.entry + pattern };
    return this.#ask(
      this.subjects.directGetBySequence,
      Buffer.from(JSON.stringify(query)),
      deadline,
      directEntry,
    );
  }

  /** Writes a value; see {@link WriteAnswer}. */
  async write(write: Write, deadline: number): Promise<WriteAnswer> {
    return this.#publish(write, deadline, EMPTY_LIST);
  }

  /** Replaces an entry by a delete marker, which the official clients understand too (ADR-8). */
  async remove(write: Omit<Write, "value">, deadline: number): Promise<WriteAnswer> {
    return this.#publish({ ...write, value: EMPTY }, deadline, ["KV-Operation", "DEL"]);
  }

  async #publish(write: Write, deadline: number, extra: readonly string[]): Promise<WriteAnswer> {
    this.#checkSize(write.value.length);
    const request = {
      subject: this.subjects.entry + write.key,
      payload: write.value,
      headers: this.#headersOf(write, extra),
      deadline,
      idempotent: false,
    };
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      try {
        const reply = await this.mux.request(request);
        if (!isNoResponders(reply)) {
          const ack = JSON.parse(Buffer.from(reply.data).toString()) as { seq: number; error?: ApiError };
          if (!ack.error) {
            if (this.bucket.replicated) this.#ownWrites.note(write.key, ack.seq);
            return ack.seq;
          }
          if (ack.error.err_code === API.wrongLastSequence) return "conflict";
          if (ack.error.err_code !== API.writeInFlight) throw this.#refusal(ack.error, write.value.length);
        }
      } catch (error) {
        if (error instanceof AnswerLost) return "lost";
        throw error;
      }
      await pauseUntil(pause, deadline, "the bucket has no leader at the moment");
    }
  }

  #headersOf(write: Write, extra: readonly string[]): MsgHdrs {
    const list = headers();
    for (const [name, value] of encodeMetadata(write.metadata)) list.set(name, value);
    if (extra.length > 0) list.set(extra[0] as string, extra[1] as string);
    if (write.expected !== undefined) list.set("Nats-Expected-Last-Subject-Sequence", String(write.expected));
    if (this.bucket.ttls) list.set("Nats-TTL", `${write.ttlSeconds}s`);
    return list;
  }

  #checkSize(size: number): void {
    const { maxMessageSize } = this.bucket;
    const limit = Math.min(
      this.mux.maxPayload,
      maxMessageSize > 0 ? maxMessageSize : Number.POSITIVE_INFINITY,
    );
    if (size + HEADER_ROOM > limit) throw tooLarge(size, limit - HEADER_ROOM);
  }

  #refusal(error: ApiError, size: number): SessionStoreError {
    return error.err_code === API.messageTooLarge
      ? tooLarge(size, this.bucket.maxMessageSize - HEADER_ROOM)
      : apiError(error, this.subjects.stream);
  }

  /** Sends a read and asks again, until the deadline, while nobody is there to answer it. */
  async #ask(
    subject: string,
    payload: Uint8Array,
    deadline: number,
    parse: (reply: Reply) => Entry | null,
  ): Promise<Entry | null> {
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      const reply = await this.mux.request({ subject, payload, deadline, idempotent: true });
      if (!isNoResponders(reply)) return parse(reply);
      await pauseUntil(pause, deadline, "nobody answers for the bucket");
    }
  }
}
