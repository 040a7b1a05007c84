import type { MsgHdrs } from "@nats-io/nats-core";
import { SessionStoreError } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { watchConnection } from "./connection.js";
import { unavailable } from "./failure.js";
import { headersOf } from "./headers.js";
import { TIME_STAMP, timeOf } from "./reply.js";
import type { Subjects } from "./subjects.js";

/** A write to the bucket as the server republished it: its headers, without its value. */
export interface ChangeMessage {
  readonly key: string;
  readonly sequence: number;
  /** The value of a header, or an empty string. */
  readonly header: (name: string) => string;
  /** When it was stored, by the server's clock, unix ms. */
  readonly writtenAt: () => number;
}

export interface ChangesListener {
  message(message: ChangeMessage): void;
  /** The link is down: messages are being missed. */
  disconnected(): void;
  /** The link is up again, and with it the subscription. */
  reconnected(): void;
  /** There will be no more messages. */
  failed(error: SessionStoreError): void;
}

/** The subject to which a bucket republishes its writes, where it republishes all of them. */
export function changesSubject(
  republish: { src?: string; dest: string } | undefined,
  subjects: Subjects,
): string | undefined {
  const isAll = ["", ">", subjects.all, undefined].includes(republish?.src);
  return isAll ? republish?.dest : undefined;
}

/**
 * Listens to what a bucket republishes (ADR-28): at most once, so a message may be lost; sequence numbers tell.
 * @returns a function that ends it
 */
export function watchChanges(
  nc: NatsConnectionLike,
  subjects: Subjects,
  subject: string,
  listener: ChangesListener,
): () => void {
  const subscription = subscribe(nc, subject, (message) => {
    const headers = message && headersOf(message);
    const key = headers?.last("Nats-Subject");
    if (!headers || !key?.startsWith(subjects.entry)) return;
    const header = (name: string) => headers.get(name);
    listener.message({
      key: key.slice(subjects.entry.length),
      sequence: Number(headers.last("Nats-Sequence")),
      header,
      writtenAt: () => timeOf(headers.last(TIME_STAMP)),
    });
  });
  const unwatch = watchConnection(nc, (event) => {
    if (event.type === "disconnected") listener.disconnected();
    else if (event.type === "reconnected") listener.reconnected();
    else if (event.type === "closed") {
      listener.failed(
        new SessionStoreError(
          "ERR_SESSION_UNAVAILABLE",
          "The NATS connection is closed: no more changes are told.",
        ),
      );
    } else if (event.type === "refused" && event.operation === "subscription" && event.subject === subject) {
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

function subscribe(
  nc: NatsConnectionLike,
  subject: string,
  onMessage: (message: { headers?: MsgHdrs } | undefined) => void,
): { unsubscribe(): void } {
  try {
    return nc.subscribe(subject, {
      // A refused subscription calls back without a message; the status watch tells of it.
      callback: (_error, message: { headers?: MsgHdrs } | undefined) => onMessage(message),
    });
  } catch (cause) {
    throw unavailable("the NATS connection is closed", cause);
  }
}
