import { SessionStoreError, unavailable } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { now, sleep } from "../util/timers.js";
import { watchConnection } from "./connection.js";
import { HeadersToSend } from "./headers.js";
import { Mux } from "./mux.js";
import { answerIn, isNoResponders } from "./replies.js";
import type { Reply } from "./request.js";
import type { Subjects } from "./subjects.js";

/** What came of a permission that was tried. */
export interface PermissionTrial {
  /** What the store needs it for. */
  readonly purpose: string;
  readonly operation: "publish" | "subscribe";
  readonly subject: string;
  /** `unanswered`: the server said neither yes nor no in time. */
  readonly result: "allowed" | "refused" | "unanswered";
}

interface Trial {
  readonly purpose: string;
  readonly subject: string;
  readonly payload?: object;
  readonly headers?: HeadersToSend;
}

/** No stream ever gets as far, so a write that builds on this revision changes nothing. */
const NO_REVISION = "9007199254740991";

const EMPTY = new Uint8Array(0);

/**
 * Tries each permission that a store needs. Nothing is stored: the writes build on a revision that is not there.
 * @param keys one of a session and one of a user index, both without an entry
 * @param changes where the bucket republishes its writes, if that is known
 */
export async function tryPermissions(
  nc: NatsConnectionLike,
  subjects: Subjects,
  keys: { readonly session: string; readonly index: string },
  changes: string | undefined,
  timeout: number,
): Promise<PermissionTrial[]> {
  const impossible = new HeadersToSend();
  impossible.add("Nats-Expected-Last-Subject-Sequence", NO_REVISION);
  const trials: Trial[] = [
    { purpose: "open the bucket, count", subject: subjects.streamInfo },
    { purpose: "load", subject: subjects.directGet + keys.session },
    { purpose: "list", subject: subjects.directGetBySequence, payload: { seq: 1, next_by_subj: ">" } },
    {
      purpose: "confirm with the leader",
      subject: subjects.leaderGet,
      payload: { last_by_subj: subjects.entry + keys.session },
    },
    { purpose: "save, touch, end", subject: subjects.write + keys.session, headers: impossible },
    { purpose: "index the user's sessions", subject: subjects.write + keys.index, headers: impossible },
  ];
  const mux = new Mux(nc, timeout);
  try {
    return [
      ...(await Promise.all(trials.map((trial) => tryRequest(mux, trial, timeout)))),
      await trySubscription(nc, changes ?? subjects.changes(nc.info?.domain), timeout),
    ];
  } finally {
    mux.close();
  }
}

async function tryRequest(mux: Mux, trial: Trial, timeout: number): Promise<PermissionTrial> {
  const { purpose, subject, payload, headers } = trial;
  const request = {
    subject,
    payload: payload ? Buffer.from(JSON.stringify(payload)) : EMPTY,
    headers,
    deadline: now() + timeout,
    // A write that changes nothing may be sent twice.
    idempotent: true,
    reasons: undefined,
  };
  const done = { purpose, operation: "publish", subject } as const;
  try {
    const reply = await mux.request(request);
    return { ...done, result: headers && isStored(reply) ? "unanswered" : "allowed" };
  } catch (error) {
    const isRefused = error instanceof SessionStoreError && error.code === "ERR_SESSION_PERMISSION";
    return { ...done, result: isRefused ? "refused" : "unanswered" };
  }
}

/** Whether a write was not refused for its revision: something other than the bucket took it. */
function isStored(reply: Reply): boolean {
  return isNoResponders(reply) || answerIn<{ error?: object }>(reply).error === undefined;
}

/** A subscription is never acknowledged: the answer to a ping that follows it comes after a refusal. */
async function trySubscription(
  nc: NatsConnectionLike,
  subject: string,
  timeout: number,
): Promise<PermissionTrial> {
  let isRefused = false;
  const unwatch = watchConnection(nc, (event) => {
    if (event.type === "refused" && event.operation === "subscription" && event.subject === subject) {
      isRefused = true;
    }
  });
  const subscription = nc.subscribe(subject, { callback: () => {} });
  const done = { purpose: "the change feed, the near cache", operation: "subscribe", subject } as const;
  try {
    await roundTrip(nc, timeout);
    return { ...done, result: isRefused ? "refused" : "allowed" };
  } catch {
    return { ...done, result: isRefused ? "refused" : "unanswered" };
  } finally {
    unwatch();
    if (!nc.isClosed()) subscription.unsubscribe();
  }
}

async function roundTrip(nc: NatsConnectionLike, timeout: number): Promise<void> {
  const { flush } = nc as { flush?: () => Promise<void> };
  const late = sleep(timeout).then(() => {
    throw unavailable("the server did not answer a ping");
  });
  late.catch(() => {});
  await Promise.race([flush?.call(nc) ?? late, late]);
  // The client reports a refusal through an iterator, some turns later.
  await sleep(1);
}
