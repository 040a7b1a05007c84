import { corrupt, SessionStoreError, unavailable } from "../errors.js";
import { API, type ApiError, apiError } from "./api-errors.js";
import { HeaderBlock, type Headers, hasData, headersOf, ownHeaders, textOf } from "./headers.js";
import type { Reply } from "./request.js";
import type { StreamName } from "./subjects.js";

/** An entry of the bucket as the server has it: a session, an index entry, or a tombstone. */
export interface Entry {
  /** The NATS subject of the entry. */
  readonly subject: string;
  readonly revision: number;
  readonly value: Uint8Array;
  /** Whether it is a tombstone, the store's, another client's or the server's own. */
  readonly deleted: boolean;
  /** The value of a header, or an empty string. */
  readonly header: (name: string) => string;
  /** See `ownHeaders` of `headers.ts`. */
  readonly ownHeaders: (expected: number) => ReturnType<typeof ownHeaders>;
  /** When it was stored, by the server's clock (Unix ms). */
  readonly writtenAt: () => number;
  /** The stream that answered; a mirror answers reads of the bucket under its own name. */
  readonly stream: string;
  /** Whether the leader was asked; any copy may have answered otherwise. */
  readonly askedLeader: boolean;
}

/** The header in which a server states when a message was stored. */
export const TIME_STAMP = "Nats-Time-Stamp";

/**
 * The server's own status in a reply; 0 where it answers with a stored message. Another application may have stored
 * a message whose headers begin with a status line; the server adds the sequence number to those.
 */
function statusOf(headers: Headers): number {
  const { code } = headers;
  return code === 0 || headers.last("Nats-Sequence") !== "" ? 0 : code;
}

/** Whether the reply is the server's word that no subscriber listens on the subject. */
export function isNoResponders(reply: Reply): boolean {
  if (hasData(reply)) return false;
  const headers = headersOf(reply);
  return headers !== undefined && statusOf(headers) === 503;
}

/** The entry in the reply to a direct get (ADR-31); `null` for "no message". */
export function directEntry(reply: Reply): Entry | null {
  const headers = headersOf(reply);
  const status = headers && statusOf(headers);
  if (status === 404) return null;
  if (!headers || status !== 0) {
    throw new SessionStoreError(
      "ERR_SESSION_SERVER",
      `The server refused a read: ${status ?? "no headers"} ${headers?.description ?? ""}.`,
    );
  }
  return entryOf({
    subject: headers.last("Nats-Subject"),
    revision: Number(headers.last("Nats-Sequence")),
    value: reply.data,
    header: (name) => headers.get(name),
    ownHeaders: (expected) => ownHeaders(headers, expected),
    writtenAt: () => timeOf(headers.last(TIME_STAMP)),
    stream: headers.last("Nats-Stream"),
    askedLeader: false,
  });
}

/**
 * The JSON in a reply of JetStream's.
 * @throws `ERR_SESSION_SERVER` for a reply that is none, such as one of another application on the subject
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

const BRACE = 0x7b;
const ACK = /^{"stream":"[^"]*",(?:"domain":"[^"]*", ?)?"seq":(\d{1,15})}$/;

/** The revision in a plain acknowledgement of a write, as nearly all are; nothing for any other reply. */
export function ackIn({ data }: Reply): number | undefined {
  if (data[0] !== BRACE) return undefined;
  const found = ACK.exec(textOf(data, "latin1"));
  return found ? Number(found[1]) : undefined;
}

export function notAnAnswer(): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_SERVER", "An answer was not of JetStream's form.");
}

/** The entry in the reply to a read from the leader; `null` for "no message". */
export function leaderEntry(reply: Reply, name: StreamName): Entry | null {
  const answer = answerIn<{
    error?: ApiError;
    message?: { subject: string; seq: number; hdrs?: string; data?: string; time: string };
  }>(reply);
  if (answer.error?.err_code === API.noMessage) return null;
  if (answer.error || !answer.message) throw apiError(answer.error ?? {}, name);
  const { subject, seq, hdrs = "", data = "", time } = answer.message;
  if ([subject, hdrs, data].some((text) => typeof text !== "string")) throw notAnAnswer();
  const headers = new HeaderBlock(Buffer.from(hdrs, "base64").toString("latin1"));
  return entryOf({
    subject,
    revision: seq,
    value: Buffer.from(data, "base64"),
    header: (name) => headers.get(name),
    ownHeaders: (expected) => ownHeaders(headers, expected),
    writtenAt: () => timeOf(time),
    stream: name.stream,
    askedLeader: true,
  });
}

/** What the leader says of a stream. */
export interface StreamState {
  /**
   * What tells the stream from an earlier one of its name. A server of a cluster that was restarted gives a time of
   * creation of its own (tried on 2.14), so it is the Raft group; where there is none, the time of creation.
   */
  readonly identity: string;
  readonly messages: number;
  readonly first: number;
  readonly last: number;
  readonly replicas: number;
  /** Name of the server that leads the bucket; the only one where there is no cluster. */
  readonly leader: string;
  /**
   * Another one after each election; where the server does not say when that was (2.10), after one that another
   * server has won. Empty without a cluster, where there are no elections.
   */
  readonly term: string;
  /** The server's clock when it answered (Unix ms); 0 where it does not say. */
  readonly serverTime: number;
}

export function noLeader({ where }: StreamName): string {
  return `the bucket${where} has no leader at the moment`;
}

/** How the servers that hold a stream stand to each other, as one of them says. */
interface Cluster {
  readonly name?: string;
  readonly leader?: string;
  readonly leader_since?: string;
  readonly raft_group?: string;
  /** The others. */
  readonly replicas?: readonly { readonly name?: string }[];
}

/**
 * Whether it is the leader's own answer. A member that knows no leader answers too, from its own state; it may know
 * one when it writes the answer, and has it among the others then (tried on 2.14).
 */
function isOfLeader({ leader, replicas }: Cluster): boolean {
  return Boolean(leader) && !(Array.isArray(replicas) && replicas.some((other) => other?.name === leader));
}

/**
 * The state in the reply to a question about the stream, as the leader has it.
 * @throws `ERR_SESSION_UNAVAILABLE` while there is no leader
 */
export function streamState(reply: Reply, name: StreamName): StreamState {
  const answer = answerIn<{
    error?: ApiError;
    created?: string;
    ts?: string;
    cluster?: Cluster;
    config?: { num_replicas?: number };
    state?: { messages: number; first_seq: number; last_seq: number };
  }>(reply);
  if (answer.error || !answer.state) throw apiError(answer.error ?? {}, name);
  if (answer.cluster && !isOfLeader(answer.cluster)) throw unavailable(noLeader(name));
  const { created = "", ts, config } = answer;
  const {
    name: cluster,
    leader = "",
    leader_since: since = "",
    raft_group: identity = created,
  } = answer.cluster ?? {};
  const { messages, first_seq: first, last_seq: last } = answer.state;
  const serverTime = Date.parse(ts ?? "") || 0;
  const term = cluster ? `${leader} ${since}` : "";
  const replicas = config?.num_replicas ?? 1;
  return { identity, messages, first, last, replicas, leader, term, serverTime };
}

/** A page of a stream's subjects, and how many there are in all. @throws `ERR_SESSION_UNAVAILABLE` as `streamState` */
export function subjectsIn(reply: Reply, name: StreamName): { subjects: string[]; total: number } {
  streamState(reply, name);
  const { state, total = 0 } = answerIn<{ total?: number; state?: { subjects?: object } }>(reply);
  return { subjects: Object.keys(state?.subjects ?? {}), total };
}

/** @param limit `undefined` where the bucket got its limit after it was opened, so the store does not know it */
export function tooLarge(size: number, limit: number | undefined): SessionStoreError {
  const allowed = limit === undefined ? "fewer" : String(Math.max(0, limit));
  return new SessionStoreError(
    "ERR_SESSION_TOO_LARGE",
    `The session takes ${size} bytes, but the server or the bucket allows ${allowed}. Keep less in the session, or raise the server's max_payload or the bucket's maximum value size.`,
  );
}

function entryOf(entry: Omit<Entry, "deleted">): Entry {
  const { revision, header } = entry;
  if (!Number.isSafeInteger(revision) || revision < 1) throw corrupt("the server gave no revision for it");
  // ADR-8: DEL and PURGE are deletions by a client; ADR-43: the server's own tombstone names its reason.
  const deleted = header("KV-Operation") !== "" || header("Nats-Marker-Reason") !== "";
  return Object.assign(entry, { deleted });
}

/** A time as the server writes it (RFC 3339 with nanoseconds), in Unix ms; now where it gave none. */
export function timeOf(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? Date.now() : time;
}
