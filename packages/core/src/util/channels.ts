import { channel, tracingChannel } from "node:diagnostics_channel";

/**
 * A channel of `node:diagnostics_channel`. Ask `hasSubscribers` before a message is made: while there is no
 * subscriber, nothing is allocated.
 */
export interface TypedChannel<M extends object> {
  readonly hasSubscribers: boolean;
  publish(message: M): void;
  subscribe(listener: (message: M) => void): void;
  unsubscribe(listener: (message: M) => void): boolean;
}

/** The operations of a store that the tracing channel reports. */
export type OperationName =
  | "open"
  | "check"
  | "load"
  | "save"
  | "touch"
  | "update"
  | "rotate"
  | "destroy"
  | "destroyByUser"
  | "list"
  | "count"
  | "clear";

/**
 * Context of the tracing channel `nats-session-store:operation`. It holds no session id, no data and no name of a
 * user.
 */
export interface OperationContext {
  readonly operation: OperationName;
  readonly bucket: string;
  /** The session's public name; `undefined` for an operation on more than one session. */
  readonly handle: string | undefined;
  /**
   * What came of it, known at `asyncEnd`: `saved`, `merged`, `touched`, `skipped`, `gone` as the operation's result
   * has it, and of a save that renewed unchanged data what the touch did; of a load `found` or `missing`, of a
   * destroy `destroyed` or `missing`. `undefined` for other operations and after a failure.
   */
  outcome: string | undefined;
  /** How often it tried: more than once after a conflict, or after an answer that was lost. */
  attempts: number;
  /** Of a load: whether the near cache answered it. */
  cached: boolean | undefined;
  /** The server that the connection leads to, once it is there. */
  serverAddress: string | undefined;
  serverPort: number | undefined;
  /** After a failure. */
  error?: OperationError;
}

/** Why an operation failed, without what the application's own functions have said. */
export interface OperationError {
  /** Name of the error's class. */
  readonly name: string;
  /** Code and message of a `SessionStoreError`. */
  readonly code?: string;
  readonly message?: string;
}

/** A session began or was ended in this process. */
export interface SessionMessage {
  readonly bucket: string;
  readonly handle: string;
}

/** A write merged the changes of another request, or met a session that was ended elsewhere. */
export interface WriteMessage extends SessionMessage {
  readonly operation: "save" | "touch" | "rotate" | "update";
}

/** A user had as many sessions as allowed: a sign-in was refused, or this session was ended for another. */
export interface LimitMessage extends SessionMessage {
  readonly action: "refused" | "ended";
  readonly limit: number;
}

/**
 * What the near cache did: answered a load (`hit`) or not (`miss`); removed a session for want of room (`evict`), or
 * because it may be out of date (`drop`).
 */
export interface CacheMessage {
  readonly bucket: string;
  readonly type: "hit" | "miss" | "evict" | "drop";
  /** How many sessions. */
  readonly count: number;
}

/** The change feed cannot tell some changes. */
export interface MissedMessage {
  readonly bucket: string;
}

/**
 * The bucket's leader had to be asked, because a copy had no such session (`missing`), had its tombstone (`ended`)
 * or was out of date (`behind`); or there is no leader at the moment (`none`), and a request waits for one.
 */
export interface LeaderMessage {
  readonly bucket: string;
  readonly reason: "missing" | "ended" | "behind" | "none";
}

/** A process warning of the type `NatsSessionWarning`. */
export interface WarningMessage {
  readonly bucket: string;
  readonly code: string;
  readonly message: string;
}

export const operations = tracingChannel<unknown, OperationContext>("nats-session-store:operation");
export const created = named<SessionMessage>("created");
export const ended = named<SessionMessage>("ended");
export const merges = named<WriteMessage>("merge");
export const gone = named<WriteMessage>("gone");
export const limits = named<LimitMessage>("limit");
export const cacheEvents = named<CacheMessage>("cache");
export const missedChanges = named<MissedMessage>("missed");
export const leaderReads = named<LeaderMessage>("leader");
export const warnings = named<WarningMessage>("warning");

function named<M extends object>(name: string): TypedChannel<M> {
  return channel(`nats-session-store:${name}`) as unknown as TypedChannel<M>;
}
