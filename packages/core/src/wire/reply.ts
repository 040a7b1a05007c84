import { SessionStoreError } from "../errors.js";
import { corrupt } from "../record.js";
import { API, type ApiError, apiError } from "./failure.js";
import { HeaderBlock, headersOf, textOf } from "./headers.js";
import type { Reply } from "./mux.js";

/** An entry of the bucket as the server has it: a session, or the marker of one that has ended. */
export interface Entry {
  /** The NATS subject of the entry. */
  readonly subject: string;
  readonly revision: number;
  readonly value: Uint8Array;
  /** True for a delete marker, ours or the server's own. */
  readonly deleted: boolean;
  /** The value of a header, or an empty string. */
  readonly header: (name: string) => string;
  /** When it was stored, by the server's clock, unix ms. */
  readonly writtenAt: () => number;
}

/** The header in which a server tells when a message was stored. */
export const TIME_STAMP = "Nats-Time-Stamp";

/** Whether the reply is the server's word that nobody listens on the subject. */
export function isNoResponders(reply: Reply): boolean {
  return reply.data.length === 0 && headersOf(reply)?.code === 503;
}

/** The entry in the reply to a direct get (ADR-31); `null` for "no message". */
export function directEntry(reply: Reply): Entry | null {
  const headers = headersOf(reply);
  if (headers?.code === 404) return null;
  if (headers?.code !== 0) {
    throw new SessionStoreError(
      "ERR_SESSION_SERVER",
      `The server refused a read: ${headers?.code ?? "no headers"} ${headers?.description ?? ""}.`,
    );
  }
  const subject = headers.last("Nats-Subject");
  const revision = Number(headers.last("Nats-Sequence"));
  const header = (name: string) => headers.get(name);
  return entryOf({
    subject,
    revision,
    value: reply.data,
    header,
    writtenAt: () => timeOf(headers.last(TIME_STAMP)),
  });
}

/**
 * The JSON in a reply of JetStream's.
 * @throws `ERR_SESSION_SERVER` for one that is none, such as from somebody else who answers on the subject
 */
export function answerIn<A extends object>(reply: Reply): A {
  let answer: unknown;
  try {
    answer = JSON.parse(textOf(reply.data));
  } catch {
    throw notAnAnswer();
  }
  if (typeof answer !== "object" || answer === null) throw notAnAnswer();
  return answer as A;
}

function notAnAnswer(): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_SERVER", "An answer was not of JetStream's form.");
}

/** The entry in the reply to a read from the leader; `null` for "no message". */
export function leaderEntry(reply: Reply, stream: string): Entry | null {
  const answer = answerIn<{
    error?: ApiError;
    message?: { subject: string; seq: number; hdrs?: string; data?: string; time: string };
  }>(reply);
  if (answer.error?.err_code === API.noMessage) return null;
  if (answer.error || !answer.message) throw apiError(answer.error ?? {}, stream);
  const { subject, seq, hdrs = "", data = "", time } = answer.message;
  if ([subject, hdrs, data].some((text) => typeof text !== "string")) throw notAnAnswer();
  const headers = new HeaderBlock(Buffer.from(hdrs, "base64").toString("latin1"));
  return entryOf({
    subject,
    revision: seq,
    value: Buffer.from(data, "base64"),
    header: (name) => headers.get(name),
    writtenAt: () => timeOf(time),
  });
}

/** What a stream holds; its subjects where they were asked for, a page of them with how many there are in all. */
export interface StreamState {
  readonly created: string;
  readonly last_seq: number;
  readonly subjects: Readonly<Record<string, number>>;
  readonly total: number;
}

/** The state in the reply to a question about the stream. */
export function streamState(reply: Reply, stream: string): StreamState {
  const answer = answerIn<{
    error?: ApiError;
    total?: number;
    created?: string;
    state?: { last_seq: number; subjects?: Record<string, number> };
  }>(reply);
  if (answer.error || !answer.state) throw apiError(answer.error ?? {}, stream);
  const { created = "", total = 0 } = answer;
  const { last_seq, subjects = {} } = answer.state;
  return { created, last_seq, subjects, total };
}

/** @param limit `undefined` where the bucket was given one since it was opened, which nobody told us */
export function tooLarge(size: number, limit: number | undefined): SessionStoreError {
  const allowed = limit === undefined ? "fewer" : String(Math.max(0, limit));
  return new SessionStoreError(
    "ERR_SESSION_TOO_LARGE",
    `The session takes ${size} bytes, but the server or the bucket allows ${allowed}. Keep less in the session, or raise the server's max_payload or the bucket's maximum value size.`,
  );
}

function entryOf({ subject, revision, value, header, writtenAt }: Omit<Entry, "deleted">): Entry {
  if (!Number.isSafeInteger(revision) || revision < 1) throw corrupt("the server gave no revision for it");
  // ADR-8: DEL and PURGE are deletions by a client; ADR-43: the server's own marker names its reason.
  const deleted = header("KV-Operation") !== "" || header("Nats-Marker-Reason") !== "";
  return { subject, revision, value, deleted, header, writtenAt };
}

/** A time as the server writes it (RFC 3339 with nanoseconds), unix ms; now where it gave none. */
export function timeOf(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? Date.now() : time;
}
