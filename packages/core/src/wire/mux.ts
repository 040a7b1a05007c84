import { createInbox, type MsgHdrs } from "@nats-io/nats-core";
import { SessionStoreError } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { type ConnectionEvent, watchConnection } from "./connection.js";
import type { Diagnosis } from "./diagnosis.js";
import { unavailable } from "./failure.js";
import type { HeadersToSend } from "./headers.js";

/** What the mux needs of a reply; both generations of the client have it. */
export interface Reply {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: MsgHdrs | undefined;
}

export interface Request {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers?: HeadersToSend | undefined;
  /** When to give up, in ms of `performance.now()`. */
  readonly deadline: number;
  /** Whether sending it twice does no harm, so that it may be sent again after a reconnect. */
  readonly idempotent: boolean;
  /** Looks for the reason when there is no answer for long although the connection is up. */
  readonly diagnosis?: Diagnosis | undefined;
}

/** How long a refused inbox is not asked for again, in ms: permissions can be mended without a reconnect. */
const REFUSAL_STANDS = 1000;

/** The connection broke, or no answer came for long: nobody knows whether the server has seen the request. */
export class AnswerLost extends Error {}

interface Pending {
  readonly request: Request;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
  /** When an answer is overdue, in ms of `performance.now()`, and how long to wait the next time. */
  overdueAt: number;
  patience: number;
}

/**
 * Requests and replies over one inbox subscription, with a map of what is pending and one shared timer for the
 * deadlines. `nc.request` makes a timer, a stack trace and several promises for each request; here a request
 * costs one promise and one map entry, and the requests of one turn share a write.
 *
 * While the connection is down, requests wait for it until their deadline. The client drops what it had
 * buffered when it dials again and never says so, hence the watch on its status. A server that stops being the
 * bucket's leader drops requests without a word too: what is not answered within a quarter of the timeout is
 * asked again, or is for its caller to look after.
 */
export class Mux {
  readonly #nc: NatsConnectionLike;
  readonly #inbox: string;
  readonly #timeout: number;
  readonly #pending = new Map<string, Pending>();
  /** Tokens of the requests that this turn of the event loop will send. */
  #outbox: string[] = [];
  #subscription: { unsubscribe(): void };
  readonly #unwatch: () => void;
  #sweepTimer: NodeJS.Timeout | undefined;
  #next = 0;
  #connected = true;
  #refusal: { readonly error: SessionStoreError; readonly until: number } | undefined;
  /** What the client last said was wrong with the connection. */
  #trouble: unknown;

  constructor(nc: NatsConnectionLike, timeout: number) {
    this.#nc = nc;
    this.#timeout = timeout;
    this.#inbox = `${createInbox(inboxPrefixOf(nc))}.`;
    this.#subscription = this.#subscribe();
    this.#unwatch = watchConnection(nc, (event) => this.#onConnection(event));
  }

  /** How many requests wait for an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Whether the server that we are connected to has JetStream itself. */
  get hasJetStream(): boolean {
    return this.#nc.info?.jetstream === true;
  }

  /** The largest message that the server takes, headers included, in bytes. */
  get maxPayload(): number {
    return this.#nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
  }

  /**
   * @throws `ERR_SESSION_UNAVAILABLE`, `ERR_SESSION_PERMISSION`; {@link AnswerLost} for a request that is not
   * idempotent.
   */
  request(request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#nc.isClosed()) return reject(this.#unavailable("the NATS connection is closed"));
      if (this.#refusal && performance.now() < this.#refusal.until) return reject(this.#refusal.error);
      if (this.#refusal && !this.#nc.isDraining()) this.#resubscribe();
      const token = (this.#next++).toString(36);
      const patience = this.#timeout / 4;
      this.#pending.set(token, {
        request,
        resolve,
        reject,
        patience,
        overdueAt: performance.now() + patience,
      });
      this.#scheduleSweep();
      if (this.#connected) this.#sendSoon(token);
    });
  }

  /** Ends the subscription and the watch; what is still pending is rejected. */
  close(): void {
    this.#unwatch();
    clearTimeout(this.#sweepTimer);
    // On a connection that is closed or draining the subscription is gone or going, and the client would throw.
    if (!this.#nc.isClosed() && !this.#nc.isDraining()) this.#subscription.unsubscribe();
    this.#rejectAll(() => new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed."));
  }

  #subscribe(): { unsubscribe(): void } {
    return this.#nc.subscribe(`${this.#inbox}*`, {
      callback: (_error, message: Reply | undefined) => this.#onReply(message),
    });
  }

  /** The client forgot the subscription when it was refused; permissions may have been mended meanwhile. */
  #resubscribe(): void {
    this.#refusal = undefined;
    this.#subscription = this.#subscribe();
  }

  /** The error for an outage, with what the client has said about the connection. */
  #unavailable(why: string): SessionStoreError {
    // What was wrong once says nothing about a connection that is up.
    const trouble = this.#connected && !this.#nc.isClosed() ? undefined : this.#trouble;
    const text = trouble instanceof Error ? trouble.message : trouble;
    return unavailable(text ? `${why} (${text})` : why, trouble);
  }

  /**
   * What is asked for in one turn of the event loop goes out together, with one write to the socket. The client
   * would write once for each callback, and in a server each request of a browser is a callback of its own. One
   * request alone is not delayed: the turn ends right after it.
   */
  #sendSoon(token: string): void {
    if (this.#outbox.push(token) === 1) setImmediate(this.#sendOutbox);
  }

  #sendOutbox = (): void => {
    const tokens = this.#outbox;
    this.#outbox = [];
    // What waits for a connection is sent when there is one.
    if (!this.#connected) return;
    for (const token of tokens) {
      const pending = this.#pending.get(token);
      if (pending) this.#send(token, pending.request);
    }
  };

  #send(token: string, { subject, payload, headers }: Request): void {
    try {
      const reply = this.#inbox + token;
      this.#nc.publish(subject, payload, headers ? { reply, headers: headers as never } : { reply });
    } catch (cause) {
      this.#take(token)?.reject(unavailable("the NATS connection does not take messages", cause));
    }
  }

  #onReply(message: Reply | undefined): void {
    // A refused subscription calls back without a message; the status watch tells of it.
    if (!message?.subject?.startsWith(this.#inbox)) return;
    this.#take(message.subject.slice(this.#inbox.length))?.resolve(message);
  }

  #take(token: string): Pending | undefined {
    const pending = this.#pending.get(token);
    if (pending) this.#pending.delete(token);
    return pending;
  }

  #onConnection(event: ConnectionEvent): void {
    switch (event.type) {
      case "disconnected":
        this.#connected = false;
        this.#dropUnsafe();
        break;
      case "reconnected":
        this.#connected = true;
        this.#dropUnsafe();
        this.#trouble = undefined;
        if (this.#refusal) this.#resubscribe();
        for (const [token, { request }] of [...this.#pending]) this.#send(token, request);
        break;
      case "closed":
        this.#trouble = event.reason ?? this.#trouble;
        this.#rejectAll(() => this.#unavailable("the NATS connection is closed"));
        break;
      case "failing":
        this.#trouble = event.reason;
        break;
      case "refused":
        this.#onRefused(event.operation, event.subject);
        break;
    }
  }

  /** What was sent and must not be sent twice fails now, so that its caller can look whether it was done. */
  #dropUnsafe(): void {
    for (const [token, { request, reject }] of [...this.#pending]) {
      if (request.idempotent) continue;
      this.#pending.delete(token);
      reject(new AnswerLost("The connection was lost before the answer came."));
    }
  }

  #onRefused(operation: string, subject: string): void {
    const error = new SessionStoreError(
      "ERR_SESSION_PERMISSION",
      `The account has no permission for the ${operation} to "${subject}".`,
    );
    if (operation === "subscription") {
      if (!subject.startsWith(this.#inbox)) return;
      this.#refusal = { error, until: performance.now() + REFUSAL_STANDS };
      this.#rejectAll(() => error);
      return;
    }
    for (const [token, { request, reject }] of [...this.#pending]) {
      if (request.subject !== subject) continue;
      this.#pending.delete(token);
      reject(error);
    }
  }

  #rejectAll(error: () => Error): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of all) reject(error());
  }

  /**
   * One timer for all; it runs only while something is pending and never keeps the process alive. After a standstill
   * of the process the timers run before the sockets are read, hence the sweep at the end of the turn: what has been
   * answered is not called late.
   */
  #scheduleSweep(): void {
    if (this.#sweepTimer) return;
    const interval = Math.min(100, Math.max(1, this.#timeout / 20));
    this.#sweepTimer = setTimeout(() => {
      setImmediate(() => {
        this.#sweepTimer = undefined;
        this.#sweep(performance.now() + interval);
        if (this.#pending.size > 0) this.#scheduleSweep();
      });
    }, interval).unref();
  }

  /** Rejects what would be late at the next sweep: a deadline is kept a little early, never late. */
  #sweep(nextSweep: number): void {
    const now = performance.now();
    for (const [token, pending] of [...this.#pending]) {
      const { request, reject } = pending;
      if (request.deadline < nextSweep) {
        this.#pending.delete(token);
        reject(this.#late(request));
      } else if (this.#connected && pending.overdueAt <= now) {
        this.#onOverdue(token, pending, now);
      }
    }
  }

  #late({ diagnosis, deadline }: Request): SessionStoreError {
    const reason = this.#connected ? diagnosis?.reason(deadline) : undefined;
    return reason?.error() ?? this.#unavailable(`no answer from NATS within ${this.#timeout} ms`);
  }

  #onOverdue(token: string, pending: Pending, now: number): void {
    const reason = pending.request.diagnosis?.reason(pending.request.deadline);
    if (reason?.certain) {
      this.#pending.delete(token);
      pending.reject(reason.error());
    } else if (pending.request.idempotent) {
      // Each time later than the time before: a server that is merely slow is not to get more work.
      pending.patience *= 2;
      pending.overdueAt = now + pending.patience;
      this.#send(token, pending.request);
    } else {
      this.#pending.delete(token);
      pending.reject(new AnswerLost("No answer came for long."));
    }
  }
}

/** Both generations keep the options of the connection there, though neither declares it. */
function inboxPrefixOf(nc: NatsConnectionLike): string | undefined {
  return (nc as { options?: { inboxPrefix?: string } }).options?.inboxPrefix;
}
