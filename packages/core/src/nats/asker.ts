import { isUnavailable, type SessionStoreError } from "../errors.js";
import { leaderReads } from "../util/channels.js";
import { FIRST_PAUSE, longer, pauseUntil } from "./backoff.js";
import type { Mux } from "./mux.js";
import type { OutageReason } from "./outage-reason.js";
import { isNoResponders } from "./replies.js";
import type { Reply } from "./request.js";

/** Asks the bucket's servers something, again and again until the deadline while none of them answers. */
export class Asker {
  constructor(
    private readonly mux: Mux,
    private readonly reasons: OutageReason,
  ) {}

  /** @param parse reads the reply; `ERR_SESSION_UNAVAILABLE` from it means to ask again */
  ask<R>(
    subject: string,
    payload: Uint8Array,
    deadline: number,
    parse: (reply: Reply) => R,
    pause = FIRST_PAUSE,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      const again = (otherwise: string | SessionStoreError) =>
        this.pause(pause, deadline, otherwise)
          .then(() => this.ask(subject, payload, deadline, parse, longer(pause)))
          .then(resolve, reject);
      const answered = (reply: Reply) => {
        try {
          if (isNoResponders(reply)) void again(`no server answers for the bucket${this.reasons.where}`);
          else resolve(parse(reply));
        } catch (error) {
          // A cluster that is electing a leader says that it is unavailable for a moment.
          if (isUnavailable(error)) void again(error);
          else reject(error);
        }
      };
      const { reasons } = this;
      const request = { subject, payload, headers: undefined, deadline, idempotent: true, reasons };
      this.mux.send(request, { resolve: answered, reject });
    });
  }

  /** @throws the reason, at once when it is certain, else when the deadline would pass meanwhile */
  async pause(pause: number, deadline: number, otherwise: string | SessionStoreError): Promise<void> {
    const reason = this.reasons.reason(deadline);
    if (reason?.certain) throw reason.error();
    if (leaderReads.hasSubscribers) leaderReads.publish({ bucket: this.reasons.bucket, reason: "none" });
    await pauseUntil(pause, deadline, reason?.error() ?? otherwise);
  }
}
