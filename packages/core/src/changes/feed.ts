import { SessionStoreError, unavailable } from "../errors.js";
import type { ChangeMessage } from "../nats/changes.js";
import type { SessionChange } from "../types.js";
import { BoundedMap } from "../util/bounded-map.js";
import { missedChanges } from "../util/channels.js";
import { now } from "../util/timers.js";
import type { FeedContext } from "./bucket-reads.js";
import { changeOf, handleIn } from "./change.js";
import { ChangeTail } from "./tail.js";

/** Receives what the feed emits. Without `changed` nothing but key and number of a write is parsed. */
export interface FeedListener {
  /** A session was written: every write to the bucket under a session's key. */
  wrote?(handle: string, revision: number): void;
  changed?(change: SessionChange): void;
  /** Limits `changed` to some sessions. */
  follows?(handle: string): boolean;
  /** Some changes can no longer be emitted. */
  missed(): void;
  /** The link is down; what happens meanwhile is emitted when it is up again. */
  cut?(): void;
  /** The link is up again, and everything that happened meanwhile was emitted. */
  resumed?(): void;
  /** Nothing follows, because of the error or because the store was closed. */
  ended(error?: Error): void;
}

/** Shows that everything was emitted that had been written at a moment. */
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

interface RunningTail {
  readonly tail: ChangeTail;
  readonly ready: Promise<void>;
}

/** The changes of a store's sessions, for all listeners. There is one tail while anything listens. */
export class ChangeFeed {
  readonly #context: FeedContext;
  readonly #listeners = new Set<FeedListener>();
  /** The listeners as an array, which no listener changes while it is called. */
  #snapshot: readonly FeedListener[] = [];
  readonly #users = new BoundedMap<string, string>(MOST_USERS);
  #running: RunningTail | undefined;
  #isCut = false;
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
    return this.#isCut;
  }

  /** Name of the bucket. */
  get bucket(): string {
    return this.#context.bucket.name;
  }

  /** `ready` resolves when everything that happens later will be emitted; it rejects where there is no feed. */
  listen(listener: FeedListener): { readonly ready: Promise<void>; readonly stop: () => void } {
    if (this.#isClosed) throw new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed.");
    this.#listeners.add(listener);
    this.#snapshot = [...this.#listeners];
    this.#running ??= this.#start();
    if (this.#isCut) listener.cut?.();
    const stop = () => {
      if (!this.#listeners.delete(listener)) return;
      this.#snapshot = [...this.#listeners];
      if (this.#listeners.size === 0) this.#stop();
      else if (!this.#snapshot.some(isReader)) this.#users.clear();
    };
    return { ready: this.#running.ready, stop };
  }

  /**
   * Resolves when everything is emitted that was written before the call.
   * @throws where there is no feed, or its link breaks
   */
  async prove(): Promise<FeedProof> {
    const provenAt = now();
    if (!this.#running) throw unavailable("nothing follows the changes");
    const { first, last } = await this.#running.tail.reachEnd();
    return { provenAt, first, last };
  }

  close(): void {
    this.#isClosed = true;
    if (this.#running) this.#end(this.#running.tail);
  }

  #start(): RunningTail {
    const tail = new ChangeTail(this.#context, {
      wrote: (write) => this.#onWrite(write),
      cut: () => {
        this.#isCut = true;
        this.#each((listener) => listener.cut?.());
      },
      resumed: () => {
        this.#isCut = false;
        this.#each((listener) => listener.resumed?.());
      },
      missed: () => {
        if (missedChanges.hasSubscribers) missedChanges.publish({ bucket: this.bucket });
        this.#each((listener) => listener.missed());
      },
      failed: (error) => this.#end(tail, error),
    });
    const ready = tail.start();
    ready.catch((error) => this.#end(tail, error));
    return { tail, ready };
  }

  #end(tail: ChangeTail, error?: Error): void {
    if (this.#running?.tail !== tail) return;
    const listeners = this.#snapshot;
    this.#listeners.clear();
    this.#snapshot = [];
    this.#stop();
    for (const listener of listeners) listener.ended(error);
  }

  #stop(): void {
    this.#running?.tail.stop();
    this.#running = undefined;
    this.#isCut = false;
    this.#users.clear();
  }

  #onWrite(write: ChangeMessage): void {
    const { bucket, sessionKeyStart } = this.#context;
    const part = handleIn(write.key, sessionKeyStart);
    if (part === undefined) return;
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
