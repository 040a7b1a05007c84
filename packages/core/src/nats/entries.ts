import { leaderReads } from "../util/channels.js";
import type { Semaphore } from "../util/semaphore.js";
import { now } from "../util/timers.js";
import { Asker } from "./asker.js";
import { FIRST_PAUSE, longer, pauseUntil } from "./backoff.js";
import type { KnownRevisions } from "./known-revisions.js";
import { LeaderLines, reasonToConfirm } from "./leader-lines.js";
import { LeaderWord } from "./leader-word.js";
import type { Mux } from "./mux.js";
import type { OutageReason } from "./outage-reason.js";
import {
  directEntry,
  type Entry,
  leaderEntry,
  type StreamState,
  streamState,
  subjectsIn,
} from "./replies.js";
import { EMPTY, type Reply } from "./request.js";
import type { StreamFacts } from "./stream.js";
import type { Subjects } from "./subjects.js";
import { type Write, type WriteAnswer, Writer } from "./writer.js";

/** How long a leader elected a moment ago may take to apply what was acknowledged before, in ms. */
const CATCH_UP = 500;

/** How long reads may take, and whom they may believe; both in ms. */
export interface ReadLimits {
  /** See the option of that name. */
  readonly maxLeaderSilence: number;
  readonly timeout: number;
}

/** Reads and writes the entries of one bucket over one connection. */
export class Entries {
  readonly #lines: LeaderLines;
  readonly #asker: Asker;
  readonly #writer: Writer;
  readonly #leader: LeaderWord;

  constructor(
    mux: Mux,
    private readonly subjects: Subjects,
    stream: StreamFacts,
    reasons: OutageReason,
    /** The newest revisions that this process knows of; see {@link KnownRevisions}. */
    readonly known: KnownRevisions,
    { maxLeaderSilence, timeout }: ReadLimits,
  ) {
    const { where } = subjects;
    this.#lines = new LeaderLines(where);
    this.#asker = new Asker(mux, reasons);
    this.#writer = new Writer(mux, subjects, stream, reasons, known, this.#asker);
    const ask = () => this.#askState(now() + timeout);
    this.#leader = new LeaderWord(stream.replicas, maxLeaderSilence, ask, where);
  }

  /** Whether the leader gave this entry, or the only copy of the bucket, which is the leader's. */
  isFromLeader({ askedLeader, stream }: Entry): boolean {
    return askedLeader || (stream === this.subjects.stream && this.#leader.isSole());
  }

  /**
   * The entry of a key, or `null` when there is none. A copy may lag behind, also a mirror of a bucket with one
   * replica. So an answer counts when it is not older than what this process knows, and shows a live session, while
   * the leader is within reach. A tombstone counts where this process knows the session: it may have ended it.
   * Otherwise the leader is asked.
   */
  read(key: string, deadline: number, isLive: (entry: Entry) => boolean): Promise<Entry | null> {
    return this.readAny(key, deadline).then((entry) => {
      const known = this.known.of(key);
      if (entry && entry.revision >= known) {
        const isFinal = entry.deleted && known > 0;
        if (isLive(entry)) return this.#isCurrentEnough(entry) ? entry : this.#whenHeard(entry, deadline);
        if (isFinal || this.isFromLeader(entry)) return entry;
      }
      if (leaderReads.hasSubscribers) {
        const { bucket } = this.subjects;
        leaderReads.publish({ bucket, reason: reasonToConfirm(entry, known) });
      }
      return this.#readFromLeader(key, deadline, this.#lines.lineFor(entry, known));
    });
  }

  /** A copy that is cut off from the leader knows of no sign-out: its answers count for a limited time. */
  #isCurrentEnough({ stream }: Entry): boolean {
    return (stream === this.subjects.stream && this.#leader.wasSole) || this.#leader.isHeard();
  }

  async #whenHeard(entry: Entry, deadline: number): Promise<Entry> {
    await this.#leader.hear(deadline);
    return entry;
  }

  /** Whatever a copy answers, which may be old: for a write under the revision that was read. */
  readAny(key: string, deadline: number): Promise<Entry | null> {
    return this.#asker.ask(this.subjects.directGet + key, EMPTY, deadline, directEntry);
  }

  /** The leader's own answer. */
  readLeader(key: string, deadline: number): Promise<Entry | null> {
    return this.#readFromLeader(key, deadline, this.#lines.loads);
  }

  /** As `read`, never from a copy that lags behind: for a decision that cannot be taken back by a later conflict. */
  async readCurrent(key: string, deadline: number): Promise<Entry | null> {
    if (this.#leader.isSole()) {
      const entry = await this.readAny(key, deadline);
      if (entry && this.isFromLeader(entry) && entry.revision >= this.known.of(key)) {
        this.known.note(key, entry.revision);
        return entry;
      }
    }
    return this.#readFromLeader(key, deadline, this.#lines.current);
  }

  async #readFromLeader(key: string, deadline: number, line: Semaphore): Promise<Entry | null> {
    const payload = Buffer.from(JSON.stringify({ last_by_subj: this.subjects.entry + key }));
    for (let pause = FIRST_PAUSE, isComplete = false; ; pause = longer(pause)) {
      const entry = await this.#askLeader(payload, deadline, line);
      const known = this.known.of(key);
      if ((entry?.revision ?? 0) >= known) {
        if (entry) this.known.note(key, entry.revision);
        return entry;
      }
      if (isComplete) {
        // It is no lag: the tombstone has expired too, or the bucket was purged or restored.
        this.known.forget(key);
        return entry;
      }
      // One of several replicas may have been elected a moment ago and not have applied yet what was acknowledged before.
      const { last, replicas } = await this.#askState(deadline);
      isComplete = last >= known || replicas === 1;
      if (!isComplete) await this.#pauseBehind(key, pause, deadline);
    }
  }

  async #pauseBehind(key: string, pause: number, deadline: number): Promise<void> {
    try {
      await pauseUntil(pause, deadline, notCaughtUp(this.subjects));
    } catch (error) {
      // It may be another bucket under the same name: the next operation takes it as it is.
      this.known.forget(key);
      throw error;
    }
  }

  /**
   * The first entry at or after a sequence number whose key matches the pattern. A copy that lags behind may say that
   * there is none, and a mirror of part of the keys may skip some, so the leader is asked then.
   */
  async readNext(pattern: string, sequence: number, deadline: number): Promise<Entry | null> {
    const query = { seq: sequence, next_by_subj: this.subjects.entry + pattern };
    const payload = Buffer.from(JSON.stringify(query));
    const entry = await this.#asker.ask(this.subjects.directGetBySequence, payload, deadline, directEntry);
    return entry?.stream === this.subjects.stream
      ? entry
      : this.#askLeader(payload, deadline, this.#lines.scans);
  }

  /** A page of the subjects of entries whose key matches the pattern, tombstones too, as the leader has them. */
  subjectPage(
    pattern: string,
    offset: number,
    deadline: number,
  ): Promise<{ subjects: string[]; total: number }> {
    const { streamInfo, entry } = this.subjects;
    const query = JSON.stringify({ subjects_filter: entry + pattern, offset });
    const parse = (reply: Reply) => subjectsIn(reply, this.subjects);
    return this.#asker.ask(streamInfo, Buffer.from(query), deadline, parse);
  }

  /** The entry with exactly this sequence number, as the leader has it; `null` where it was replaced or removed. */
  readSequence(sequence: number, deadline: number): Promise<Entry | null> {
    const payload = Buffer.from(JSON.stringify({ seq: sequence }));
    return this.#askLeader(payload, deadline, this.#lines.scans);
  }

  /** What the leader says of the stream; not before it has all that this process knows of. */
  async state(deadline: number): Promise<StreamState> {
    let patience = deadline;
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      const state = await this.#askState(deadline);
      if (state.last >= this.known.newest || now() > patience) return state;
      // From the first answer on: the election may have taken long.
      patience = Math.min(patience, now() + CATCH_UP);
      await pauseUntil(pause, deadline, notCaughtUp(this.subjects));
    }
  }

  /** What the leader says of the stream at the first try that it answers, whatever this process knows. */
  freshState(deadline: number): Promise<StreamState> {
    return this.#askState(deadline);
  }

  /** Writes a value; see {@link WriteAnswer}. */
  write(write: Write, deadline: number): Promise<WriteAnswer> {
    return this.#writer.write(write, deadline);
  }

  /** Replaces an entry by a tombstone, which the official clients understand too (ADR-8). */
  remove(write: Omit<Write, "value">, deadline: number): Promise<WriteAnswer> {
    return this.#writer.remove(write, deadline);
  }

  #askLeader(payload: Uint8Array, deadline: number, line: Semaphore): Promise<Entry | null> {
    const parse = (reply: Reply) => leaderEntry(reply, this.subjects);
    return line.run(deadline, () => this.#asker.ask(this.subjects.leaderGet, payload, deadline, parse));
  }

  async #askState(deadline: number): Promise<StreamState> {
    const askedAt = now();
    const parse = (reply: Reply) => streamState(reply, this.subjects);
    const state = await this.#asker.ask(this.subjects.streamInfo, EMPTY, deadline, parse);
    this.#leader.note(state.replicas, askedAt);
    return state;
  }
}

function notCaughtUp({ where }: Subjects): string {
  return `the leader of the bucket${where} has not caught up`;
}
