import { isWritten } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import { expiryOf, isLive } from "../format/expiry.js";
import type { Membership, SessionMetadata } from "../format/metadata.js";
import { isSame } from "../format/serializer.js";
import type { SessionStoreOptions } from "../options.js";
import type { SaveOptions, SaveResult } from "../types.js";
import { created, gone as goneChannel, merges, type OperationContext } from "../util/channels.js";
import { now, sleep } from "../util/timers.js";
import { serializeData, userIn } from "./application.js";
import { type Content, reconcile } from "./conflict.js";
import { heldUp } from "./contention.js";
import { destroySession } from "./destroy.js";
import { GONE } from "./gone.js";
import { anyGround, NOTHING_THERE, recalledGround } from "./ground.js";
import { baseOf, LoadedSession, loadedSession, storedOf } from "./loaded-session.js";
import { MembershipChange, ownerOf } from "./membership.js";
import type { Plan, Progress } from "./save-plan.js";
import { touchSession } from "./touch.js";
import { ttlForData } from "./ttl.js";

/** Longest random pause between two tries, in ms: longer ones would let writers that do not wait take all. */
const LONGEST_PAUSE = 8;

export interface Save<T extends object> extends SaveOptions<T> {
  /** In place of the store's option. */
  readonly onConflict?: SessionStoreOptions["onConflict"];
  /** Leaves the expiry as it is stored, in place of `ttl`. */
  readonly keepExpiry?: boolean;
  /** Whether the limit of sessions is asked; a copy of what another store holds is not a sign-in. @default true */
  readonly isLimited?: boolean;
}

/** Stores data on top of the revision that they were loaded with, or as a new session. */
export function saveSession<T extends object>(
  context: StoreContext,
  handle: string,
  data: T,
  options: Save<T>,
  deadline: number,
  trace?: OperationContext,
): Promise<SaveResult<T>> {
  return context.writes.run(handle, () => save(context, handle, data, options, deadline, trace));
}

function save<T extends object>(
  context: StoreContext,
  handle: string,
  data: T,
  {
    record: given,
    ttl,
    source = data,
    touchUnchanged,
    mayExist,
    onConflict = context.options.onConflict,
    keepExpiry = false,
    isLimited = true,
  }: Save<T>,
  deadline: number,
  trace: OperationContext | undefined,
): Promise<SaveResult<T>> {
  const record = given && loadedSession(given, handle);
  if (ttlForData(context, ttl, data) <= 0) {
    return destroySession(context, handle, undefined, deadline).then(() => GONE);
  }
  const store = (value: Uint8Array) => {
    const base = record && baseOf(record, source);
    if (record && base && touchUnchanged && isSame(value, base)) {
      return saveUnchanged(context, record, ttlForData(context, ttl, record.data), deadline, trace);
    }
    const ours = { data, value };
    const plan = {
      handle,
      ours,
      source,
      record,
      base,
      ttl,
      onConflict,
      keepExpiry,
      isLimited,
      deadline,
      trace,
    };
    return carryOut(context, plan, mayExist === true);
  };
  const serialised = serializeData(context, data, deadline);
  return serialised instanceof Uint8Array ? store(serialised) : serialised.then(store);
}

async function saveUnchanged<T extends object>(
  context: StoreContext,
  record: LoadedSession<T>,
  ttl: number,
  deadline: number,
  trace: OperationContext | undefined,
): Promise<SaveResult<T>> {
  const touched = await touchSession(context, record.handle, record, { ttl }, deadline, trace);
  if (trace) trace.outcome = touched.outcome;
  return touched.outcome === "gone" ? GONE : { outcome: "saved", record: touched.record };
}

/** Nearly every save ends with its first write, which is why that way makes as few promises as it can. */
function carryOut<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  mayExist: boolean,
): Promise<SaveResult<T>> {
  const progress = begin(context, plan);
  const prepared = prepare(context, plan, progress, mayExist);
  const written = prepared
    ? prepared.then(() => firstWrite(context, plan, progress))
    : firstWrite(context, plan, progress);
  const first = prepared || progress.membership ? undoing(progress, written) : written;
  return first.then((result) => result ?? writeAgain(context, plan, progress));
}

/** Takes a session that was not stored out of its user's index entry again. */
function undoing<R>(progress: Progress<object>, task: Promise<R>): Promise<R> {
  return task.catch((error) => {
    progress.membership?.fail();
    throw error;
  });
}

/** What a save has to know before it writes; nothing for most. */
function prepare<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
  mayExist: boolean,
): Promise<void> | undefined {
  const { record, base, ours, onConflict, deadline } = plan;
  if (base && record && base !== storedOf(record).value) {
    // A merge or a touch has met what another request has stored, and the holder of these data never saw.
    const sides = { ours, base, theirs: storedOf(record).value, mayIncludeOurs: false, onConflict };
    return reconcile(context, sides, deadline).then((content) => {
      progress.content = content;
    });
  }
  if (!mayExist || progress.ground !== NOTHING_THERE) return undefined;
  return anyGround(context, plan.handle, deadline).then((ground) => {
    progress.ground = ground;
  });
}

/** Where others have met a conflict already, or the record has expired, this write would meet one too. */
function firstWrite<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
): Promise<SaveResult<T> | undefined> {
  const { handle, record } = plan;
  const isHopeless =
    context.contended.isBusy(handle) || (record && !isLive(record, Date.now(), context.options));
  return isHopeless ? Promise.resolve(undefined) : write(context, plan, progress);
}

function begin<T extends object>(context: StoreContext, plan: Plan<T>): Progress<T> {
  const { handle, record, ours } = plan;
  const ground = record ? storedOf(record) : (recalledGround(context, handle) ?? NOTHING_THERE);
  return { ground, content: ours, unanswered: undefined, membership: undefined };
}

/** Looks and writes until the save lands, in line with other saves of the session that have met a conflict. */
function writeAgain<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
): Promise<SaveResult<T>> {
  const { handle, deadline, trace } = plan;
  const untilStored = async (): Promise<SaveResult<T>> => {
    for (let attempt = 1; ; attempt++) {
      if (trace) trace.attempts++;
      const result = (await look(context, plan, progress)) ?? (await write(context, plan, progress));
      if (result) return result;
      const left = deadline - now();
      if (left <= 0) throw heldUp(context);
      // A save that has waited for long waits less, so it goes before one that has just come.
      const longest = Math.min(2 ** attempt, LONGEST_PAUSE * (left / context.options.timeout));
      if (attempt > 1) await sleep(Math.random() * longest);
    }
  };
  return undoing(progress, context.contended.run(handle, deadline, untilStored));
}

/** Writes on the ground that is known. @returns `undefined` after a conflict, or without an answer */
function write<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
): Promise<SaveResult<T> | undefined> {
  const { ground, content } = progress;
  const before = ground.metadata;
  // Without the option `user` too: another process may have made it a user's session, which it then stays.
  const mayBelong = context.options.user !== undefined || before?.membership !== undefined;
  if (mayBelong)
    progress.membership ??= new MembershipChange(context, plan.handle, plan.deadline, plan.isLimited);
  const { membership } = progress;
  const time = Date.now();
  const createdAt = before?.createdAt ?? time;
  const kept = plan.keepExpiry ? before?.expiresAt : undefined;
  const expiresAt =
    kept ?? expiryOf(time, ttlForData(context, plan.ttl, content.data), createdAt, context.options);
  if (expiresAt <= time) return Promise.resolve(gone(context, plan, progress));
  const changed = content.value === plan.ours.value ? "update" : "merge";
  const kind = before === undefined ? "create" : changed;
  const others = before?.others;
  const sendAs = (membership: Membership | undefined) =>
    send(context, plan, progress, { createdAt, expiresAt, write: kind, membership, others });
  if (!membership) return sendAs(undefined);
  const owner = ownerOf(context, userIn(context, content.data, plan.deadline), before?.membership);
  const member = membership.prepare(owner, before?.membership, expiresAt);
  return member instanceof Promise ? member.then(sendAs) : sendAs(member);
}

function send<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
  metadata: SessionMetadata,
): Promise<SaveResult<T> | undefined> {
  const { value } = progress.content;
  progress.membership?.sending();
  const entry = { handle: plan.handle, value, metadata, expected: progress.ground.revision };
  return context.sessions.write(entry, plan.deadline).then((answer) => {
    if (typeof answer === "number") return done(context, plan, progress, answer, metadata);
    if (answer === "lost") progress.unanswered = { value, metadata };
    return undefined;
  });
}

/** Reads what is there after a conflict. @returns a result where nothing is left to write */
async function look<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
): Promise<SaveResult<T> | undefined> {
  const { handle, ours, record, base, onConflict, deadline } = plan;
  const { unanswered } = progress;
  const { revision, session: theirs } = await context.sessions.readCurrent(handle, deadline);
  if (unanswered && theirs && isWritten(theirs, unanswered)) {
    return done(context, plan, progress, theirs.revision, unanswered.metadata);
  }
  // Ended, or ended and begun again under the same id, which is another session.
  if (record && theirs?.metadata.createdAt !== record.createdAt) return gone(context, plan, progress);
  if (revision === progress.ground.revision) return undefined;
  progress.ground = theirs ?? { revision, metadata: undefined };
  if (record && base && theirs) {
    const mayIncludeOurs = unanswered !== undefined;
    const conflict = { ours, base, theirs: theirs.value, mayIncludeOurs, onConflict };
    progress.content = await reconcile(context, conflict, deadline);
  }
  return undefined;
}

function done<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
  revision: number,
  metadata: SessionMetadata,
): SaveResult<T> | Promise<SaveResult<T>> {
  const { ground, membership } = progress;
  const result = resultOf(context, plan, progress.content, revision, metadata);
  return membership ? membership.commit(ground.metadata?.membership, revision).then(() => result) : result;
}

function resultOf<T extends object>(
  { options: { bucket } }: StoreContext,
  { handle, ours, source }: Plan<T>,
  content: Content<T>,
  revision: number,
  metadata: SessionMetadata,
): SaveResult<T> {
  const isMerged = content.value !== ours.value;
  if (metadata.write === "create" && created.hasSubscribers) created.publish({ bucket, handle });
  if (isMerged && merges.hasSubscribers) merges.publish({ bucket, handle, operation: "save" });
  const held = isMerged ? { value: ours.value, source } : undefined;
  const record = new LoadedSession(handle, content.data, { revision, value: content.value, metadata }, held);
  return { outcome: isMerged ? "merged" : "saved", record };
}

function gone<T extends object>(
  { options: { bucket } }: StoreContext,
  { handle }: Plan<T>,
  { membership }: Progress<T>,
): SaveResult<T> {
  membership?.rollback();
  if (goneChannel.hasSubscribers) goneChannel.publish({ bucket, handle, operation: "save" });
  return GONE;
}
