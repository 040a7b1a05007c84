import { isUnavailable, type SessionStoreError } from "../errors.js";
import { leaderReads } from "../util/channels.js";
import { FIRST_PAUSE, longer, pauseUntil } from "./backoff.js";
import type { Mux } from "./mux.js";
import type { OutageReason } from "./outage-reason.js";
import { isNoResponders } from "./replies.js";
import type { Reply, Request, Waiter } from "./request.js";

/** Asks the bucket's servers something, again and again until the deadline while none of them answers. */
export class Asker {
  constructor(
    private readonly mux: Mux,
    readonly reasons: OutageReason,
  ) {}

  /** @param parse reads the reply; `ERR_SESSION_UNAVAILABLE` from it means to ask again */
  ask<R>(subject: string, payload: Uint8Array, deadline: number, parse: (reply: Reply) => R): Promise<R> {
    return new Promise((resolve, reject) => {
      const question = new Question(this, subject, payload, deadline, parse, resolve, reject);
      this.mux.send(question, question);
    });
  }

  /** Asks again after a pause, longer each time. */
  async again<R>(question: Question<R>, otherwise: string | SessionStoreError): Promise<R> {
    let why = otherwise;
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      await this.pause(pause, question.deadline, why);
      const reply = await this.mux.request(question);
      try {
        if (!isNoResponders(reply)) return question.parse(reply);
        why = this.nobody;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        why = error;
      }
    }
  }

  get nobody(): string {
    return `no server answers for the bucket${this.reasons.where}`;
  }

  /** @throws the reason, at once when it is certain, else when the deadline would pass meanwhile */
  async pause(pause: number, deadline: number, otherwise: string | SessionStoreError): Promise<void> {
    const reason = this.reasons.reason(deadline);
    if (reason?.certain) throw reason.error();
    if (leaderReads.hasSubscribers) leaderReads.publish({ bucket: this.reasons.bucket, reason: "none" });
    await pauseUntil(pause, deadline, reason?.error() ?? otherwise);
  }
}

/** One question as the mux sends it, and what becomes of its reply: one object in place of a request and closures. */
class Question<R> implements Request, Waiter {
  readonly headers = undefined;
  readonly idempotent = true;
  readonly reasons: OutageReason;

  constructor(
    private readonly asker: Asker,
    readonly subject: string,
    readonly payload: Uint8Array,
    readonly deadline: number,
    readonly parse: (reply: Reply) => R,
    private readonly settle: (answer: R | Promise<R>) => void,
    readonly reject: (error: unknown) => void,
  ) {
    this.reasons = asker.reasons;
  }

  resolve(reply: Reply): void {
    const { asker, parse, settle, reject } = this;
    try {
      settle(isNoResponders(reply) ? asker.again(this, asker.nobody) : parse(reply));
    } catch (error) {
      // A cluster that is electing a leader says that it is unavailable for a moment.
      if (isUnavailable(error)) settle(asker.again(this, error));
      else reject(error);
    }
  }
}
