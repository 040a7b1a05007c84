import type { SessionStoreError } from "../errors.js";
import type { Headers, HeadersToSend } from "./headers.js";

/** What the mux needs of a reply; both generations of the client have it. */
export interface Reply {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: Headers | undefined;
}

/** Why requests have no answer, as far as it is known. */
export interface Reasons {
  /** Where the bucket is, for errors: see `StreamName`. */
  readonly where: string;
  /** @param overdueWrite subject of the write that has no answer, where it is one */
  reason(deadline: number, overdueWrite?: string): Reason | undefined;
}

export interface Reason {
  /** Whether waiting is useless: the server says what is wrong, and an operator has to fix it. */
  readonly certain: boolean;
  error(): SessionStoreError;
}

export interface Request {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: HeadersToSend | undefined;
  /** When to give up, in ms of `now()`. */
  readonly deadline: number;
  /** Whether sending it twice does no harm, so that it may be sent again after a reconnect. */
  readonly idempotent: boolean;
  /** Looks for the reason when an answer is overdue although the connection is up. */
  readonly reasons: Reasons | undefined;
}

/** The payload of a request that has none, and the value of a tombstone. */
export const EMPTY = new Uint8Array(0);

/** Receives the answer of a request. */
export interface Waiter {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** The connection broke, or an answer was overdue: it is unknown whether the server has seen the request. */
export class AnswerLost extends Error {}
