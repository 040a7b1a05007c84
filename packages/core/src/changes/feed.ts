import type { Context } from "../context.js";
import { SessionStoreError, unavailable } from "../errors.js";
import { shardOf } from "../format/shards.js";
import type { Bucket } from "../nats/bucket.js";
import type { ChangeMessage } from "../nats/changes.js";
import type { SessionChange } from "../types.js";
import { BoundedMap } from "../util/bounded-map.js";
import { missedChanges } from "../util/channels.js";
import { now } from "../util/timers.js";
import { changeOf, handleIn } from "./change.js";
import { ChangeTail } from "./tail.js";

/** Receives what the feed emits. Without `changed` nothing but key and number of a write is parsed. */
export interface FeedListener {
  /** A session was written: every write to the bucket under a session's key. */
  wrote?(handle: string, revision: number): void;
  changed?(change: SessionChange): void;
  /** Limits `changed` to some sessions. */
  follows?(handle: string): boolean;
  /** Some changes can no longer be emitted. @param shard the number of the bucket that they were in */
  missed(shard: number): void;
  /** The link is down; what happens meanwhile is emitted when it is up again. */
  cut?(): void;
  /** The link is up again, and everything that happened meanwhile was emitted. */
  resumed?(): void;
  /** Nothing follows, because of the error or because the store was closed. */
  ended(error?: Error): void;
}

/** Shows that everything was emitted that had been written to a bucket at a moment. */
export interface FeedProof {
  /** In ms of `now()`. */
  readonly provenAt: number;
  /** Sequence number of the bucket's first entry: a session with a lower revision is not stored any more. */
  readonly first: number;
  /** Sequence number of the bucket's last write. */
  readonly last: number;
}

/** So many sessions' users are remembered: the server's expiry message does not name the user. */
const MOST_USERS = 20_000;

/** The parts of a store's context that the change feed uses. */
export type FeedContext = Pick<Context, "options" | "buckets" | "sessionKeyStart">;

/** The tails of all buckets, by number. */
interface Running {
  readonly tails: readonly ChangeTail[];
  readonly ready: Promise<void>;
  /** The buckets whose link is down, or of which not everything was emitted since, by number. */
  readonly cut: Set<number>;
}

/**
 * The changes of a store's sessions, for all listeners. While anything listens there is one tail for each bucket. The
 * changes of one session come in their order; those of sessions in different buckets come in any.
 */
export class ChangeFeed {
  readonly #context: FeedContext;
  readonly #listeners = new Set<FeedListener>();
  /** The listeners as an array, which no listener changes while it is called. */
  #snapshot: readonly FeedListener[] = [];
  readonly #users = new BoundedMap<string, string>(MOST_USERS);
  #running: Running | undefined;
  #isClosed = false;

  constructor(context: FeedContext) {
    this.#context = context;
  }

  /** Whether anything listens. */
  get isFollowed(): boolean {
    return this.#running !== undefined;
  }

  /** Whether changes are missing that will still be emitted: the link was down. */
  get isCut(): boolean {
    return this.#running !== undefined && this.#running.cut.size > 0;
  }

  /** Name that the store has for its buckets. */
  get bucket(): string {
    return this.#context.buckets.name;
  }

  /** `ready` resolves when everything that happens later will be emitted; it rejects where there is no feed. */
  listen(listener: FeedListener): { readonly ready: Promise<void>; readonly stop: () => void } {
    if (this.#isClosed) throw new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed.");
    this.#listeners.add(listener);
    this.#snapshot = [...this.#listeners];
    this.#running ??= this.#start();
    if (this.#running.cut.size > 0) listener.cut?.();
    const stop = () => {
      if (!this.#listeners.delete(listener)) return;
      this.#snapshot = [...this.#listeners];
      if (this.#listeners.size === 0) this.#stop();
      else if (!this.#snapshot.some(isReader)) this.#users.clear();
    };
    return { ready: this.#running.ready, stop };
  }

  /**
   * Resolves when everything is emitted that was written to a bucket before the call.
   * @param shard the number of the bucket
   * @throws where there is no feed, or its link breaks
   */
  async prove(shard: number): Promise<FeedProof> {
    const provenAt = now();
    const tail = this.#running?.tails[shard];
    if (!tail) throw unavailable("nothing follows the changes");
    const { first, last } = await tail.reachEnd();
    return { provenAt, first, last };
  }

  close(): void {
    this.#isClosed = true;
    if (this.#running) this.#end(this.#running);
  }

  #start(): Running {
    const { buckets, options, sessionKeyStart } = this.#context;
    const cut = new Set<number>();
    const tails = buckets.all.map((bucket, shard) => {
      return new ChangeTail(
        { options, bucket, sessionKeyStart },
        {
          wrote: (write) => this.#onWrite(write, bucket, shard),
          cut: () => this.#onCut(cut, shard),
          resumed: () => this.#onResumed(cut, shard),
          missed: () => {
            if (missedChanges.hasSubscribers) missedChanges.publish({ bucket: bucket.name });
            this.#each((listener) => listener.missed(shard));
          },
          failed: (error) => this.#end(running, error),
        },
      );
    });
    const ready = Promise.all(tails.map((tail) => tail.start())).then(() => {});
    const running: Running = { tails, ready, cut };
    ready.catch((error) => this.#end(running, error));
    return running;
  }

  #onCut(cut: Set<number>, shard: number): void {
    const wasUp = cut.size === 0;
    cut.add(shard);
    if (wasUp) this.#each((listener) => listener.cut?.());
  }

  #onResumed(cut: Set<number>, shard: number): void {
    if (cut.delete(shard) && cut.size === 0) this.#each((listener) => listener.resumed?.());
  }

  #end(running: Running, error?: Error): void {
    if (this.#running !== running) return;
    const listeners = this.#snapshot;
    this.#listeners.clear();
    this.#snapshot = [];
    this.#stop();
    for (const listener of listeners) listener.ended(error);
  }

  #stop(): void {
    const { tails = [] } = this.#running ?? {};
    for (const tail of tails) tail.stop();
    this.#running = undefined;
    this.#users.clear();
  }

  #onWrite(write: ChangeMessage, bucket: Bucket, shard: number): void {
    const { buckets, sessionKeyStart } = this.#context;
    const part = handleIn(write.key, sessionKeyStart);
    // An entry that lies in another bucket than it belongs to is no session's.
    if (part === undefined || shardOf(part, buckets.count) !== shard) return;
    // A part of a string keeps the whole alive, here all headers of the message: what is kept has to be a copy.
    const handle = Buffer.from(part, "latin1").toString("latin1");
    bucket.entries.known.note(sessionKeyStart + handle, write.sequence);
    // All caches first: a listener to a change may load the session at once.
    for (const listener of this.#snapshot) listener.wrote?.(handle, write.sequence);
    if (this.#snapshot.some((listener) => isFollower(listener, handle))) this.#emitChange(write, handle);
  }

  #emitChange(write: ChangeMessage, handle: string): void {
    const change = changeOf(write, handle, this.#users.get(handle));
    if (!change) return;
    // Only what is parsed of every write can be remembered.
    if (this.#snapshot.some(isReader)) this.#rememberUser(change);
    this.#each((listener) => {
      if (isFollower(listener, handle)) listener.changed?.(change);
    });
  }

  #rememberUser({ handle, userHash, type }: SessionChange): void {
    if (userHash === undefined || type === "destroyed" || type === "expired") this.#users.delete(handle);
    else this.#users.set(handle, userHash);
  }

  #each(emit: (listener: FeedListener) => void): void {
    for (const listener of this.#snapshot) if (this.#listeners.has(listener)) emit(listener);
  }
}

function isReader({ changed, follows }: FeedListener): boolean {
  return changed !== undefined && follows === undefined;
}

function isFollower(listener: FeedListener, handle: string): boolean {
  return listener.changed !== undefined && (listener.follows?.(handle) ?? true);
}
