import { SessionStoreError } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { subscribe, watchConnection } from "./connection.js";
import { type Headers, headersOf } from "./headers.js";
import { TIME_STAMP, timeOf } from "./replies.js";
import type { Subjects } from "./subjects.js";

/** A write to the bucket as the server republished it: its headers, without its value. */
export interface ChangeMessage {
  readonly key: string;
  readonly sequence: number;
  /** The value of a header, or an empty string. */
  readonly header: (name: string) => string;
  /** When it was stored, by the server's clock (Unix ms). */
  readonly writtenAt: () => number;
}

export interface ChangesListener {
  message(message: ChangeMessage): void;
  /** The link is down: messages are being missed. */
  disconnected(): void;
  /** The link is up again, and with it the subscription. */
  reconnected(): void;
  /** No more messages will come. */
  failed(error: SessionStoreError): void;
}

/**
 * Subscribes to what a bucket republishes (ADR-28). Delivery is at most once; sequence numbers show a loss.
 * @param closed called when the connection is closed for good
 * @returns a function that ends the subscription
 */
export function subscribeToChanges(
  nc: NatsConnectionLike,
  subjects: Subjects,
  subject: string,
  listener: ChangesListener,
  closed: () => void,
): () => void {
  const subscription = subscribe(nc, subject, (message) => {
    const headers = message && headersOf(message);
    const key = headers?.last("Nats-Subject");
    if (!headers || !key?.startsWith(subjects.entry)) return;
    listener.message(new Republished(headers, key.slice(subjects.entry.length)));
  });
  const unwatch = watchConnection(nc, (event) => {
    if (event.type === "disconnected") listener.disconnected();
    else if (event.type === "reconnected") listener.reconnected();
    else if (event.type === "closed") closed();
    else if (event.type === "refused" && event.operation === "subscription" && event.subject === subject) {
      listener.failed(
        new SessionStoreError(
          "ERR_SESSION_PERMISSION",
          `The account has no permission for the subscription to "${subject}".`,
        ),
      );
    }
  });
  return () => {
    unwatch();
    if (!nc.isClosed() && !nc.isDraining()) subscription.unsubscribe();
  };
}

/** Headers are parsed when a listener asks for them: most listeners need only a few. */
class Republished implements ChangeMessage {
  readonly sequence: number;

  constructor(
    private readonly headers: Headers,
    readonly key: string,
  ) {
    this.sequence = Number(headers.last("Nats-Sequence"));
  }

  readonly header = (name: string): string => this.headers.get(name);

  readonly writtenAt = (): number => timeOf(this.headers.last(TIME_STAMP));
}
