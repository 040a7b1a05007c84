import { isWritten, type SessionWrite } from "../entries/session-entry.js";
import type { StoreContext } from "../entries/store-context.js";
import { expiryOf, isLive } from "../format/expiry.js";
import type { Membership, SessionMetadata } from "../format/metadata.js";
import { isSame } from "../format/serializer.js";
import type { SessionStoreOptions } from "../options.js";
import type { SaveOptions, SaveResult } from "../types.js";
import { created, gone as goneChannel, merges, type OperationContext } from "../util/channels.js";
import { now, sleep } from "../util/timers.js";
import { serializeData, userIn } from "./application.js";
import { type Content, mergeContents, reconcile } from "./conflict.js";
import { heldUp } from "./contention.js";
import { destroySession } from "./destroy.js";
import { baseOf, LoadedSession, loadedSession, storedOf } from "./loaded-session.js";
import { MembershipChange, ownerOf } from "./membership.js";
import { touchSession } from "./touch.js";
import { ttlForData } from "./ttl.js";

/** Longest random pause between two tries, in ms: longer ones would let writers that do not wait take all. */
const LONGEST_PAUSE = 8;

const GONE = { outcome: "gone", record: null } as const;

/** What a write builds on: the revision that must still be there, and the session in it. */
interface Ground {
  readonly revision: number;
  readonly createdAt: number | undefined;
  readonly expiresAt: number | undefined;
  readonly membership: Membership | undefined;
}

const NOTHING: Ground = {
  revision: 0,
  createdAt: undefined,
  expiresAt: undefined,
  membership: undefined,
};

export interface Save<T extends object> extends SaveOptions<T> {
  /** In place of the store's option. */
  readonly onConflict?: SessionStoreOptions["onConflict"];
  /** Leaves the expiry as it is stored, in place of `ttl`. */
  readonly keepExpiry?: boolean;
}

/** What a save is to do; this does not change. */
interface Plan<T extends object> {
  readonly handle: string;
  readonly ours: Content<T>;
  /** The object that the data were taken from. */
  readonly source: object;
  readonly record: LoadedSession<T> | undefined;
  /** What the holder of the data was given; see `baseOf`. */
  readonly base: Uint8Array | undefined;
  readonly ttl: SaveOptions<T>["ttl"];
  readonly onConflict: SessionStoreOptions["onConflict"];
  readonly keepExpiry: boolean;
  readonly deadline: number;
  readonly trace: OperationContext | undefined;
}

/** How far a save has come. */
interface Progress<T extends object> {
  ground: Ground;
  /** What is to be stored on that ground: ours, or merged with theirs. */
  content: Content<T>;
  /** The last write of this save, where it was not answered. */
  unanswered: Pick<SessionWrite, "value" | "metadata"> | undefined;
  /** The change of the session's user, where one may be needed. */
  membership: MembershipChange | undefined;
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

async function save<T extends object>(
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
  }: Save<T>,
  deadline: number,
  trace: OperationContext | undefined,
): Promise<SaveResult<T>> {
  const record = given && loadedSession(given, handle);
  if (ttlForData(context, ttl, data) <= 0) {
    await destroySession(context, handle, undefined, deadline);
    return GONE;
  }
  const serialised = serializeData(context, data, deadline);
  const value = serialised instanceof Uint8Array ? serialised : await serialised;
  const base = record && baseOf(record, source);
  if (record && base && touchUnchanged && isSame(value, base)) {
    const life = ttlForData(context, ttl, record.data);
    const touched = await touchSession(context, handle, record, { ttl: life }, deadline, trace);
    if (trace) trace.outcome = touched.outcome;
    return touched.outcome === "gone" ? GONE : { outcome: "saved", record: touched.record };
  }

  const plan: Plan<T> = {
    handle,
    ours: { data, value },
    source,
    record,
    base,
    ttl,
    onConflict,
    keepExpiry,
    deadline,
    trace,
  };
  const progress = begin(context, plan);
  if (base && record && base !== storedOf(record).value) {
    // An earlier merge took something from the other side that the holder of these data never saw.
    const theirs = storedOf(record).value;
    const sides = { ours: plan.ours, base, theirs, mayIncludeOurs: false };
    progress.content = await mergeContents(context, sides, deadline);
  }
  try {
    if (mayExist && progress.ground === NOTHING) progress.ground = await anyGround(context, plan);
    // Where others have met a conflict already, or the record has expired, this write would meet one too.
    const isHopeless =
      context.contended.isBusy(handle) || (record && !isLive(record, Date.now(), context.options));
    const result = isHopeless ? undefined : await write(context, plan, progress);
    return result ?? (await writeAgain(context, plan, progress));
  } catch (error) {
    progress.membership?.fail();
    throw error;
  }
}

function begin<T extends object>(context: StoreContext, plan: Plan<T>): Progress<T> {
  const { handle, record, ours, deadline } = plan;
  const ground = record ? groundOf(storedOf(record)) : (recalled(context, handle) ?? NOTHING);
  const mayBelong = context.options.user !== undefined || ground.membership !== undefined;
  const membership = mayBelong ? new MembershipChange(context, handle, deadline) : undefined;
  return { ground, content: ours, unanswered: undefined, membership };
}

/** Looks and writes until the save lands, in line with other saves of the session that have met a conflict. */
function writeAgain<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
): Promise<SaveResult<T>> {
  const { handle, deadline, trace } = plan;
  return context.contended.run(handle, deadline, async () => {
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
  });
}

/** Writes on the ground that is known. @returns `undefined` after a conflict, or without an answer */
async function write<T extends object>(
  context: StoreContext,
  plan: Plan<T>,
  progress: Progress<T>,
): Promise<SaveResult<T> | undefined> {
  const { handle, deadline } = plan;
  const { ground, content, membership } = progress;
  const time = Date.now();
  const createdAt = ground.createdAt ?? time;
  const kept = plan.keepExpiry ? ground.expiresAt : undefined;
  const expiresAt =
    kept ?? expiryOf(time, ttlForData(context, plan.ttl, content.data), createdAt, context.options);
  if (expiresAt <= time) return gone(context, plan, progress);
  const owner = membership && ownerOf(context, userIn(context, content.data, deadline), ground.membership);
  const prepared = membership?.prepare(owner, ground.membership, expiresAt);
  const member = prepared instanceof Promise ? await prepared : prepared;
  const changed = content.value === plan.ours.value ? "update" : "merge";
  const kind = ground.createdAt === undefined ? "create" : changed;
  const metadata: SessionMetadata = { createdAt, expiresAt, write: kind, membership: member };
  const { value } = content;
  membership?.sending();
  const answer = await context.sessions.write(
    { handle, value, metadata, expected: ground.revision },
    deadline,
  );
  if (typeof answer === "number") return done(context, plan, progress, answer, metadata);
  if (answer === "lost") progress.unanswered = { value, metadata };
  return undefined;
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
  progress.ground = theirs ? groundOf(theirs) : { ...NOTHING, revision };
  // Another process may have made it a user's session, which it then stays.
  if (progress.ground.membership) progress.membership ??= new MembershipChange(context, handle, deadline);
  if (record && base && theirs) {
    const mayIncludeOurs = unanswered !== undefined;
    const conflict = { ours, base, theirs: theirs.value, mayIncludeOurs, onConflict };
    progress.content = await reconcile(context, conflict, deadline);
  }
  return undefined;
}

async function done<T extends object>(
  { options: { bucket } }: StoreContext,
  { handle, ours, source }: Plan<T>,
  { ground, content, membership }: Progress<T>,
  revision: number,
  metadata: SessionMetadata,
): Promise<SaveResult<T>> {
  if (membership) await membership.commit(ground.membership, revision);
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

function groundOf({ revision, metadata }: { revision: number; metadata: SessionMetadata }): Ground {
  const { createdAt, expiresAt, membership } = metadata;
  return { revision, createdAt, expiresAt, membership };
}

/** What there may be, from any copy: the write shows whether it is still like that. */
async function anyGround<T extends object>(context: StoreContext, plan: Plan<T>): Promise<Ground> {
  const { handle, deadline } = plan;
  const found = await context.sessions.findAny(handle, deadline);
  const session = context.sessions.sessionIn(handle, found);
  return session ? groundOf(session) : { ...NOTHING, revision: found.revision };
}

/** Without a record the session is replaced: what this process knows of it saves a conflict. */
function recalled(context: StoreContext, handle: string): Ground | undefined {
  const known = context.sessions.recall(handle);
  return known && isLive(known.metadata, Date.now(), context.options) ? groundOf(known) : undefined;
}
