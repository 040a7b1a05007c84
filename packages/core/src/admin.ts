import { type EntryInfo, infoOf } from "./admin/entry-info.js";
import { tryFeed } from "./admin/feed-trial.js";
import { newestEntries, sampleEntries, scanEntries, scanUser } from "./admin/scan-entries.js";
import { type Assembly, assemble } from "./assembly.js";
import { bucketOf, sessionPlace } from "./entries/place.js";
import { foundIn, sessionIn } from "./entries/session-entry.js";
import type { SessionStoreError } from "./errors.js";
import { handleOf, isHandle } from "./format/keys.js";
import { unmarked } from "./format/migration-mark.js";
import { shardOf } from "./format/shards.js";
import type { Position } from "./nats/bucket.js";
import { type BucketPlan, planBucket } from "./nats/bucket-plan.js";
import { optionsOfEach } from "./nats/buckets.js";
import { ConnectionSource } from "./nats/connection-source.js";
import {
  type AccountReport,
  feedOf,
  inspectAccount,
  inspectMirrors,
  inspectServer,
  inspectStream,
  type MirrorReport,
  type ServerReport,
  type StreamReport,
} from "./nats/inspection.js";
import { type PermissionTrial, tryPermissions } from "./nats/permission-trials.js";
import { checkSiblings } from "./nats/siblings.js";
import type { BucketOptions } from "./nats/stream-config.js";
import { type Subjects, subjectsOf } from "./nats/subjects.js";
import { type Adoption, adoptSession, tryAdoption } from "./operations/adopt.js";
import { recordOf } from "./operations/record.js";
import type { SessionStoreOptions } from "./options.js";
import { type ResolvedOptions, resolveOptions } from "./resolve-options.js";
import type { NatsConnectionLike, SessionData } from "./types.js";

export type { EntryInfo } from "./admin/entry-info.js";
export type { Position } from "./nats/bucket.js";
export type { BucketPlan, SettingChange } from "./nats/bucket-plan.js";
export type {
  AccountReport,
  MirrorReport,
  ReplicaReport,
  ServerReport,
  StreamReport,
  Usage,
} from "./nats/inspection.js";
export type { PermissionTrial } from "./nats/permission-trials.js";
export type { Difference } from "./nats/stream-config.js";
export { DigestSet } from "./util/digest-set.js";

/** A session of another store, as `adopt` takes it. */
export type AdoptedSession = Omit<Adoption<object>, "expected">;

/** One session with its data, or why they cannot be read. */
export interface SessionDetails<T extends object = SessionData> {
  readonly info: EntryInfo;
  /** `undefined` for a session that is not live or cannot be read. */
  readonly data: T | undefined;
  readonly problem: SessionStoreError | undefined;
}

/**
 * What an operator's tool asks about the buckets of a store. Where a method takes the number of a bucket, 0 is the
 * first, and the only one without the option `shards`. It changes nothing, but for `tryFeed`; ending sessions is
 * the work of a `SessionStore` on the same connection. Operations reject as those of `SessionStore` do.
 *
 * @example
 * const admin = new SessionAdmin(nc, { bucket: "sessions", createBucket: false });
 * for await (const batch of admin.entries()) count += batch.length;
 */
export class SessionAdmin {
  readonly #options: ResolvedOptions;
  readonly #each: readonly BucketOptions[];
  readonly #parts: Assembly;
  readonly #source: ConnectionSource;

  /** @throws TypeError for a wrong option, naming it and what was expected */
  constructor(nc: NatsConnectionLike | PromiseLike<NatsConnectionLike>, options?: SessionStoreOptions) {
    this.#options = resolveOptions(options);
    this.#parts = assemble(nc, this.#options);
    this.#source = new ConnectionSource(nc);
    this.#each = optionsOfEach(this.#options);
  }

  /** The names of the buckets, in the order of their numbers: one, or as many as `shards` says. */
  get buckets(): readonly string[] {
    return this.#each.map(({ bucket }) => bucket);
  }

  /** The number of the bucket in which a session lies. */
  shardOf(handle: string): number {
    return shardOf(handle, this.#each.length);
  }

  /**
   * Entries in batches, each once, in no order; those that are written meanwhile perhaps. A million take about 32 MB.
   * @param only `sessions`: with their tombstones; `all`: also index entries and what other applications keep
   */
  entries(only: "sessions" | "all" = "all"): AsyncGenerator<EntryInfo[], undefined> {
    const { context } = this.#parts;
    const pattern = only === "all" ? ">" : `${context.sessionKeyStart}*`;
    return this.#parts.lifecycle.batches((deadline) => scanEntries(context, pattern, deadline));
  }

  /**
   * Some entries from all over the buckets, each with the same chance. In a bucket whose entries are overwritten all
   * the time there are fewer than asked for.
   * @param size about how many
   */
  sample(size: number): Promise<EntryInfo[]> {
    return this.#parts.lifecycle.run((deadline) => sampleEntries(this.#parts.context, size, deadline));
  }

  /**
   * The entries that were written last to a bucket, newest first.
   * @param size how many at most
   */
  newest(size: number, shard = 0): Promise<EntryInfo[]> {
    const { lifecycle, context } = this.#parts;
    return lifecycle.run(() =>
      newestEntries(context, context.buckets.at(shard), size, () => lifecycle.deadline()),
    );
  }

  /** The live sessions of a user in batches, in the order of sign-in. */
  userSessions(user: string): AsyncGenerator<EntryInfo[], undefined> {
    return this.#parts.lifecycle.batches((deadline) => scanUser(this.#parts.context, user, deadline));
  }

  /** What is stored of a session, as the leader has it; `null` where there is nothing. */
  find<T extends object = SessionData>(handle: string): Promise<SessionDetails<T> | null> {
    return this.#parts.lifecycle.run(async (deadline) => {
      if (!isHandle(handle)) return null;
      const { context } = this.#parts;
      const { entries, key } = sessionPlace(context, handle);
      const entry = await entries.readCurrent(key, deadline);
      if (!entry) return null;
      const info = infoOf(context, bucketOf(context.buckets, handle), key, entry);
      try {
        const session = sessionIn(context, key, foundIn(context, entry));
        const data = session ? (await recordOf<T>(context, handle, session, deadline)).data : undefined;
        return { info, data, problem: undefined };
      } catch (problem) {
        return { info, data: undefined, problem: problem as SessionStoreError };
      }
    });
  }

  /**
   * Stores a session of another store, with its remaining life, where nothing is here, not even a tombstone.
   * @param dryRun only looks what it would do
   * @returns `present` where something is, `expired` where the session has ended meanwhile
   */
  adopt(
    handle: string,
    session: AdoptedSession,
    { dryRun = false }: { dryRun?: boolean } = {},
  ): Promise<"copied" | "present" | "expired"> {
    return this.#parts.lifecycle.run(async (deadline) => {
      requireHandle(handle);
      const { data } = unmarked(session.data);
      const adopt = dryRun ? tryAdoption : adoptSession;
      const adopted = await adopt(this.#parts.context, handle, { ...session, data }, deadline);
      if (adopted === undefined) return "expired";
      return adopted ? "copied" : "present";
    });
  }

  /** Every hash under which the sessions of a user may stand in the bucket and in changes, the current one first. */
  hashesOf(user: string): readonly string[] {
    return this.#parts.context.users.all(user);
  }

  /** Where a bucket begins and ends, how many entries it holds, and the server's clock. */
  position(shard = 0): Promise<Position> {
    return this.#parts.lifecycle.run((deadline) => this.#parts.context.buckets.at(shard).position(deadline));
  }

  /** How many entries all buckets hold, from the server's counters. */
  countEntries(): Promise<number> {
    return this.#parts.lifecycle.run((deadline) => this.#parts.context.buckets.countEntries(deadline));
  }

  /**
   * What `createBucket` or `updateBucket` would do to a bucket; it changes nothing.
   * @throws `ERR_SESSION_BUCKET_MISMATCH` where it is missing, and there are buckets of another number of shards
   */
  plan(shard = 0): Promise<BucketPlan> {
    const { options, subjects } = this.#shard(shard);
    return this.#ask(async (nc, deadline) => {
      const plan = await planBucket(nc, options, subjects, deadline);
      if (!plan.exists) await checkSiblings(nc, this.#options.bucket, this.#each, shard, deadline);
      return plan;
    });
  }

  /**
   * The server that the connection leads to, and the faults of its version.
   * @param ttls whether the bucket has a TTL per message, which decides which faults of a server matter
   */
  server(ttls = true): Promise<ServerReport> {
    return this.#ask(async (nc) => inspectServer(nc, ttls));
  }

  /** What the server says of a shard's stream: size, limits, copies. */
  stream(shard = 0): Promise<StreamReport> {
    const { subjects } = this.#shard(shard);
    return this.#ask((nc, deadline) => inspectStream(nc, subjects, deadline));
  }

  /** The mirrors of a shard's bucket in this account; needs the permission for `STREAM.LIST`. */
  mirrors(shard = 0): Promise<MirrorReport[]> {
    const { subjects } = this.#shard(shard);
    return this.#ask((nc, deadline) => inspectMirrors(nc, subjects, deadline));
  }

  /**
   * How much of the account's limits is used; needs the permission for `$JS.API.INFO`.
   * @param replicas which tier of limits counts, in an account that has tiers
   */
  account(replicas = 1): Promise<AccountReport> {
    const { subjects } = this.#shard(0);
    return this.#ask((nc, deadline) => inspectAccount(nc, subjects, replicas, deadline));
  }

  /** Tries each permission that a store needs in a bucket, and stores nothing. */
  tryPermissions(shard = 0): Promise<PermissionTrial[]> {
    const { sessionKeyStart, indexKeyStart } = this.#parts.context;
    const { subjects } = this.#shard(shard);
    const name = handleOf(`${Math.random()} ${Date.now()}`);
    const keys = { session: sessionKeyStart + name, index: indexKeyStart + name };
    return this.#ask(async (nc, deadline) => {
      const changes = await feedOf(nc, subjects, deadline).catch(() => undefined);
      return tryPermissions(nc, subjects, keys, changes, this.#options.timeout);
    });
  }

  /**
   * Writes a tombstone under the key `[prefix.]doctor`, each over the one before, and waits for the feed to report it.
   * @returns after how many ms it did
   */
  tryFeed(shard = 0): Promise<number> {
    const { lifecycle, context } = this.#parts;
    return lifecycle.run((deadline) => tryFeed(context, context.buckets.at(shard), deadline));
  }

  /** Ends the subscriptions; the connection stays open. */
  close(): Promise<void> {
    return this.#parts.lifecycle.close();
  }

  /** @throws TypeError for a number that no bucket has */
  #shard(shard: number): { readonly options: BucketOptions; readonly subjects: Subjects } {
    const options = this.#each[shard];
    if (!options) throw new TypeError(`Expected the number of a bucket, got ${shard}`);
    return { options, subjects: subjectsOf(options) };
  }

  /** What is asked about a bucket that may be missing, or not fit, cannot begin with opening it. */
  async #ask<R>(ask: (nc: NatsConnectionLike, deadline: number) => Promise<R>): Promise<R> {
    this.#parts.lifecycle.requireOpen();
    const deadline = this.#parts.lifecycle.deadline();
    return ask(await this.#source.connect(deadline), deadline);
  }
}

function requireHandle(handle: string): void {
  if (!isHandle(handle)) throw new TypeError("Expected a handle, as `handleOf` makes it of a session's id");
}
