import { randomBytes } from "node:crypto";
import { SessionStoreError, unavailable } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { clearTimeout, now, setImmediate, setTimeout } from "../util/timers.js";
import { type ConnectionEvent, subscribe, watchConnection } from "./connection.js";
import { flush } from "./flush.js";
import { AnswerLost, type Reason, type Reply, type Request, type Waiter } from "./request.js";

/** How long a refused inbox is not asked for again, in ms: permissions can be changed without a reconnect. */
const REFUSAL_STANDS = 1000;

interface Pending {
  readonly request: Request;
  readonly waiter: Waiter;
  /** When an answer is overdue, in ms of `now()`, and how long to wait the next time. */
  overdueAt: number;
  patience: number;
}

/**
 * Requests and replies over one inbox subscription, with a map of pending requests and one shared timer for the
 * deadlines. `nc.request` makes a timer, a stack trace and several promises for each request; here a request costs
 * one map entry, and the requests of one turn of the event loop share a write.
 *
 * While the connection is down, requests wait for it until their deadline. The client silently drops what it had
 * buffered when it dials again, hence the watch on its status. A server that stops being the bucket's leader drops
 * requests silently too: a request without an answer for a quarter of the timeout is sent again, or, if that is not
 * safe, rejected with {@link AnswerLost}.
 */
export class Mux {
  readonly #nc: NatsConnectionLike;
  readonly #inbox: string;
  readonly #timeout: number;
  readonly #pending = new Map<number, Pending>();
  /** Tokens of the requests that this turn of the event loop will send. */
  #outbox: number[] = [];
  #subscription: { unsubscribe(): void };
  readonly #unwatch: () => void;
  #sweepTimer: NodeJS.Timeout | undefined;
  #next = 0;
  #connected = true;
  #refusal: { readonly error: SessionStoreError; readonly until: number } | undefined;
  /** What the client last said was wrong with the connection. */
  #trouble: unknown;
  #repliedAt = Number.NEGATIVE_INFINITY;

  constructor(nc: NatsConnectionLike, timeout: number) {
    this.#nc = nc;
    this.#timeout = timeout;
    this.#inbox = `${inboxPrefixOf(nc) || "_INBOX"}.${randomBytes(16).toString("hex")}.`;
    this.#subscription = this.#subscribe();
    this.#unwatch = watchConnection(nc, (event) => this.#onConnection(event));
  }

  /** When the last reply came, in ms of `now()`. */
  get repliedAt(): number {
    return this.#repliedAt;
  }

  /** Whether the server that the client is connected to has JetStream itself. */
  get hasJetStream(): boolean {
    return this.#nc.info?.jetstream === true;
  }

  /** The largest message that the server takes, headers included, in bytes. */
  get maxPayload(): number {
    return this.#nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
  }

  /**
   * @throws `ERR_SESSION_UNAVAILABLE`, `ERR_SESSION_PERMISSION`; {@link AnswerLost} for what is not idempotent
   */
  request(request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => this.send(request, { resolve, reject }));
  }

  /** As `request`, without a promise. */
  send(request: Request, waiter: Waiter): void {
    if (this.#nc.isClosed()) {
      waiter.reject(this.#unavailable("the NATS connection is closed"));
      return;
    }
    const time = now();
    if (this.#refusal) {
      if (time < this.#refusal.until) {
        waiter.reject(this.#refusal.error);
        return;
      }
      if (!this.#nc.isDraining()) this.#resubscribe();
    }
    const token = this.#next++;
    const patience = this.#timeout / 4;
    this.#pending.set(token, { request, waiter, patience, overdueAt: time + patience });
    if (!this.#sweepTimer) this.#scheduleSweep();
    if (this.#connected) this.#sendSoon(token);
  }

  /** How many requests wait for an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Ends the subscription and the watch; pending requests are rejected. */
  close(): void {
    this.#unwatch();
    clearTimeout(this.#sweepTimer);
    // On a connection that is closed or draining the subscription is gone or going, and the client would throw.
    if (!this.#nc.isClosed() && !this.#nc.isDraining()) this.#subscription.unsubscribe();
    this.#rejectAll(() => new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed."));
  }

  /** Leaves a connection that is replaced by another one: requests without an answer fail as in an outage. */
  abandon(): void {
    this.#rejectAll(() => this.#unavailable("the NATS connection was replaced"));
    this.close();
  }

  #subscribe(): { unsubscribe(): void } {
    return subscribe(this.#nc, `${this.#inbox}*`, (message) => this.#onReply(message));
  }

  /** The client forgot the subscription when it was refused; the permissions may have changed meanwhile. */
  #resubscribe(): void {
    this.#refusal = undefined;
    this.#subscription = this.#subscribe();
  }

  /** The error for an outage, with what the client has said about the connection. */
  #unavailable(why: string): SessionStoreError {
    // An earlier problem says nothing about a connection that is up.
    const trouble = this.#connected && !this.#nc.isClosed() ? undefined : this.#trouble;
    const text = trouble instanceof Error ? trouble.message : trouble;
    return unavailable(text ? `${why} (${text})` : why, trouble);
  }

  /**
   * The requests of one turn of the event loop go out together, with one write to the socket. The client would
   * write once for each callback, and in a server each browser's request is a callback of its own. A single request
   * is not delayed: the turn ends right after it.
   */
  #sendSoon(token: number): void {
    if (this.#outbox.push(token) === 1) setImmediate(this.#sendOutbox);
  }

  #sendOutbox = (): void => {
    const tokens = this.#outbox;
    this.#outbox = [];
    if (!this.#connected) return; // What waits for a connection is sent when there is one.
    for (const token of tokens) {
      const pending = this.#pending.get(token);
      if (pending) this.#publish(token, pending.request);
    }
    flush(this.#nc);
  };

  #publish(token: number, { subject, payload, headers }: Request): void {
    try {
      const reply = this.#inbox + token;
      this.#nc.publish(subject, payload, headers ? { reply, headers: headers as never } : { reply });
    } catch (cause) {
      this.#take(token)?.waiter.reject(unavailable("the NATS connection does not take messages", cause));
    }
  }

  #onReply(message: Reply | undefined): void {
    if (!message?.subject?.startsWith(this.#inbox)) return;
    this.#repliedAt = now();
    this.#take(Number(message.subject.slice(this.#inbox.length)))?.waiter.resolve(message);
  }

  #take(token: number): Pending | undefined {
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
        for (const [token, { request }] of [...this.#pending]) this.#publish(token, request);
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

  /** What was sent and must not be sent twice fails now, so that the operation can look whether it was done. */
  #dropUnsafe(): void {
    for (const [token, { request, waiter }] of [...this.#pending]) {
      if (request.idempotent) continue;
      this.#pending.delete(token);
      waiter.reject(new AnswerLost("The connection was lost before the answer came."));
    }
  }

  #onRefused(operation: string, subject: string): void {
    const error = new SessionStoreError(
      "ERR_SESSION_PERMISSION",
      `The account has no permission for the ${operation} to "${subject}".`,
    );
    if (operation === "subscription") {
      if (!subject.startsWith(this.#inbox)) return;
      this.#refusal = { error, until: now() + REFUSAL_STANDS };
      this.#rejectAll(() => error);
      return;
    }
    for (const [token, { request, waiter }] of [...this.#pending]) {
      if (request.subject !== subject) continue;
      this.#pending.delete(token);
      waiter.reject(error);
    }
  }

  #rejectAll(error: () => Error): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { waiter } of all) waiter.reject(error());
  }

  /**
   * One timer for all; it runs only while requests are pending and never keeps the process alive. After a standstill
   * of the process Node runs timers before it reads sockets, hence the sweep at the end of the turn: answers that
   * have arrived are not called late.
   */
  #scheduleSweep(): void {
    const interval = Math.min(100, Math.max(1, this.#timeout / 20));
    this.#sweepTimer = setTimeout(() => {
      setImmediate(() => {
        this.#sweepTimer = undefined;
        this.#sweep(now() + interval);
        if (this.#pending.size > 0 && !this.#sweepTimer) this.#scheduleSweep();
      });
    }, interval).unref();
  }

  /** Rejects what would be late at the next sweep: a deadline is kept a little early, never late. */
  #sweep(nextSweep: number): void {
    const time = now();
    for (const [token, pending] of [...this.#pending]) {
      const { request, waiter } = pending;
      if (request.deadline < nextSweep) {
        this.#pending.delete(token);
        waiter.reject(this.#late(request));
      } else if (this.#connected && pending.overdueAt <= time) {
        this.#onOverdue(token, pending, time);
      }
    }
  }

  #reasonFor({ reasons, deadline, idempotent, subject }: Request): Reason | undefined {
    return reasons?.reason(deadline, idempotent ? undefined : subject);
  }

  #late(request: Request): SessionStoreError {
    const reason = this.#connected ? this.#reasonFor(request) : undefined;
    const where = request.reasons?.where ?? "";
    return reason?.error() ?? this.#unavailable(`no answer from NATS${where} within ${this.#timeout} ms`);
  }

  #onOverdue(token: number, pending: Pending, time: number): void {
    const { request, waiter } = pending;
    const reason = this.#reasonFor(request);
    if (reason?.certain && request.idempotent) {
      this.#pending.delete(token);
      waiter.reject(reason.error());
    } else if (request.idempotent) {
      // Each time later than the time before: a server that is merely slow is not to get more work.
      pending.patience *= 2;
      pending.overdueAt = time + pending.patience;
      this.#publish(token, request);
    } else {
      this.#pending.delete(token);
      waiter.reject(new AnswerLost("No answer came for long."));
    }
  }
}

/** Both generations keep the options of the connection there, though neither declares it. */
function inboxPrefixOf(nc: NatsConnectionLike): string | undefined {
  return (nc as { options?: { inboxPrefix?: string } }).options?.inboxPrefix;
}
