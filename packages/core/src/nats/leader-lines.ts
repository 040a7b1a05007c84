import { type SessionStoreError, unavailable } from "../errors.js";
import type { LeaderMessage } from "../util/channels.js";
import { Semaphore } from "../util/semaphore.js";
import type { Entry } from "./replies.js";

/** The leader is shared with all other clients: only so many reads ask it at a time. */
const FEW = 8;

/** Of ids that may be made up: 5 000 a second are confirmed although each answer takes 10 ms. */
const MANY = 64;

/** The lines in which reads wait for the leader. One for each reason, so that a flood delays nothing but itself. */
export class LeaderLines {
  /** Sessions of which a copy gave an older state, or none. */
  readonly sessions: Semaphore;
  /** All loads, with `reads: "leader"`. */
  readonly loads: Semaphore;
  /** Reads before a write. */
  readonly current: Semaphore;
  /** Lists, and the feed when it catches up. */
  readonly scans: Semaphore;
  readonly #missing: Semaphore;
  readonly #ended: Semaphore;

  /** @param where the bucket is, for errors: see `StreamName` */
  constructor(where: string) {
    const line = (limit: number) => new Semaphore(limit, () => tooManyLeaderReads(where));
    this.sessions = line(FEW);
    this.loads = line(MANY);
    this.current = line(FEW);
    this.scans = line(FEW);
    this.#missing = line(MANY);
    this.#ended = line(MANY);
  }

  /** Where to confirm what a copy answered. @param known the newest revision that this process knows of */
  lineFor(answer: Entry | null, known: number): Semaphore {
    if (answer?.deleted) return this.#ended;
    return answer === null && known === 0 ? this.#missing : this.sessions;
  }
}

/** Why the leader is asked after a copy. @param known the newest revision that this process knows of */
export function reasonToConfirm(answer: Entry | null, known: number): LeaderMessage["reason"] {
  if (answer?.deleted && answer.revision >= known) return "ended";
  return answer === null && known === 0 ? "missing" : "behind";
}

function tooManyLeaderReads(where: string): SessionStoreError {
  return unavailable(`too many sessions had to be confirmed at once by the leader of the bucket${where}`);
}
