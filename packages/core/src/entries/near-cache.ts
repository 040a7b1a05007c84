import { LRUCache } from "lru-cache";
import type { ChangeFeed } from "../changes/feed.js";
import type { CacheLimits } from "../resolve-options.js";
import type { CacheStats } from "../types.js";
import { BoundedMap } from "../util/bounded-map.js";
import { type CacheMessage, cacheEvents } from "../util/channels.js";
import { now } from "../util/timers.js";

/** What the cache needs to know of a session as it is stored. */
export interface CacheableSession {
  readonly revision: number;
  readonly value: Uint8Array;
}

/** A read or write of a session that is under way; see `begin`. */
export interface UnderWay {
  readonly epoch: number;
  readonly emitted: number;
  /** In ms of `now()`. */
  readonly since: number;
}

interface Cached<S> {
  readonly session: S;
  /** When the read or write of it began, in ms of `now()`. */
  readonly since: number;
}

/** Bytes that a cached session takes beside its value: key, metadata, place in the cache. */
const OVERHEAD = 1024;

/** After so long a session is read again, in ms: a purge of it alone is noticed by nothing else. */
const LONGEST = 60_000;

/** Of so many sessions the newest revision that the feed emitted is remembered. */
const MOST_REVISIONS = 20_000;

/**
 * Sessions as they were read or written last, in this process. The change feed drops what other processes write.
 * Since the feed may lose messages, an entry is served only while there is a fresh proof that it emitted everything:
 * the bucket's leader was asked for its last write, and the feed has come that far. A load asks for the next proof
 * in good time, so that nothing runs while nothing is loaded.
 *
 * A copy of the bucket that lags behind may answer with a session from before a change that was emitted already. So
 * its answer enters the cache only when it is newer than every change that was emitted and forgotten.
 */
export class NearCache<S extends CacheableSession> {
  readonly #feed: ChangeFeed;
  readonly #maxStale: number;
  readonly #longest: number;
  readonly #sessions: LRUCache<string, Cached<S>>;
  /** The newest revision that the feed emitted, by handle. */
  readonly #revisions: BoundedMap<string, number>;
  /** The newest revision of those that were emitted and forgotten. */
  #forgotten = 0;
  /** Every change with a higher revision was emitted since the cache was empty. */
  #emittedFrom = Number.POSITIVE_INFINITY;
  /** Number of the bucket's first entry: what has a lower revision is not stored any more. */
  #first = 0;
  /** How many changes the feed has emitted. */
  #emitted = 0;
  /** In ms of `now()`. */
  #provenAt = Number.NEGATIVE_INFINITY;
  #isProving = false;
  /** Incremented when the whole cache is invalidated. */
  #epoch = 0;
  #listening: { readonly ready: Promise<void>; readonly stop: () => void } | undefined;
  #isReady = false;
  #hits = 0;
  #misses = 0;
  #drops = 0;

  /** @param longest see `LONGEST` */
  constructor(feed: ChangeFeed, { max, maxBytes, maxStale }: CacheLimits, longest = LONGEST) {
    this.#feed = feed;
    this.#longest = longest;
    this.#maxStale = maxStale;
    this.#sessions = new LRUCache({
      max,
      maxSize: maxBytes,
      sizeCalculation: ({ session }) => session.value.byteLength + OVERHEAD,
      dispose: (_session, _handle, reason) => {
        if (reason === "evict" && cacheEvents.hasSubscribers) this.#publish("evict");
      },
    });
    this.#revisions = new BoundedMap(MOST_REVISIONS, (_handle, revision) => {
      this.#forgotten = Math.max(this.#forgotten, revision);
    });
  }

  /** Resolves when the feed is there; after a failure the next call listens again. */
  async ready(): Promise<void> {
    this.#listening ??= this.#feed.listen({
      wrote: (handle, revision) => this.#onWrite(handle, revision),
      missed: () => this.#clear(),
      cut: () => this.#clear(),
      ended: () => {
        this.#listening = undefined;
        this.#clear();
      },
    });
    const { ready } = this.#listening;
    await ready;
    this.#isReady = true;
  }

  /** Whether the feed is there. */
  get isReady(): boolean {
    return this.#isReady && this.#listening !== undefined;
  }

  get stats(): CacheStats {
    return {
      hits: this.#hits,
      misses: this.#misses,
      drops: this.#drops,
      size: this.#sessions.size,
      bytes: this.#sessions.calculatedSize,
    };
  }

  /** The session, where it may be served now. */
  get(handle: string): S | undefined {
    const age = now() - this.#provenAt;
    if (age > this.#maxStale / 2) void this.#prove();
    const session = age > this.#maxStale ? undefined : this.#stored(handle);
    if (session) this.#hits++;
    else this.#misses++;
    if (cacheEvents.hasSubscribers) this.#publish(session ? "hit" : "miss");
    return session;
  }

  /** The session as it is in the cache, whether it may be served or not. */
  peek(handle: string): S | undefined {
    return this.#sessions.peek(handle)?.session;
  }

  /** To be called before a session is read or written; `end` follows. */
  begin(): UnderWay {
    return { epoch: this.#epoch, emitted: this.#emitted, since: now() };
  }

  /** Whether a session that a copy gave could enter the cache if the leader confirmed it. */
  wantsLeader(handle: string, underWay: UnderWay, revision: number): boolean {
    return (
      !this.#isNewest(handle, underWay, revision, false) && this.#isNewest(handle, underWay, revision, true)
    );
  }

  /**
   * @param session what is stored now; `null` where it is not known, or there is none
   * @param fromLeader whether the bucket's leader gave it: a read of the leader, or an acknowledged write
   */
  end(handle: string, underWay: UnderWay, session: S | null, fromLeader: boolean): void {
    if (!session) this.#sessions.delete(handle);
    else if (this.#isNewest(handle, underWay, session.revision, fromLeader)) {
      const { since } = underWay;
      this.#sessions.set(handle, { session: { ...session, value: ownCopy(session.value) }, since });
    }
  }

  close(): void {
    this.#listening?.stop();
    this.#listening = undefined;
    this.#clear();
  }

  /** A purge reaches no feed: it shows where the bucket begins later, else by reading the session again. */
  #stored(handle: string): S | undefined {
    const cached = this.#sessions.get(handle);
    if (!cached) return undefined;
    if (cached.session.revision >= this.#first && now() - cached.since < this.#longest) return cached.session;
    this.#drop(handle);
    return undefined;
  }

  /** Whether no change of the session is known that is newer than this revision. */
  #isNewest(handle: string, underWay: UnderWay, revision: number, fromLeader: boolean): boolean {
    if (underWay.epoch !== this.#epoch || revision < this.#first) return false;
    // A change that was emitted meanwhile may have been forgotten again.
    if (this.#emitted - underWay.emitted >= MOST_REVISIONS / 2) return false;
    if (revision < (this.peek(handle)?.revision ?? 0)) return false;
    const emitted = this.#revisions.get(handle);
    if (emitted !== undefined) return revision >= emitted;
    return fromLeader || revision > Math.max(this.#forgotten, this.#emittedFrom);
  }

  async #prove(): Promise<void> {
    if (this.#isProving) return;
    this.#isProving = true;
    const epoch = this.#epoch;
    try {
      const { provenAt, first, last } = await this.#feed.prove();
      if (epoch !== this.#epoch) return;
      this.#provenAt = provenAt;
      this.#first = first;
      this.#emittedFrom = Math.min(this.#emittedFrom, last);
    } catch {
      // Without a proof the cache serves nothing.
    } finally {
      this.#isProving = false;
    }
  }

  #onWrite(handle: string, revision: number): void {
    this.#emitted++;
    this.#revisions.set(handle, revision);
    const cached = this.peek(handle);
    if (cached && cached.revision < revision) this.#drop(handle);
  }

  #drop(handle: string): void {
    this.#sessions.delete(handle);
    this.#drops++;
    if (cacheEvents.hasSubscribers) this.#publish("drop");
  }

  #publish(type: CacheMessage["type"], count = 1): void {
    cacheEvents.publish({ bucket: this.#feed.bucket, type, count });
  }

  #clear(): void {
    this.#epoch++;
    this.#provenAt = Number.NEGATIVE_INFINITY;
    const { size } = this.#sessions;
    this.#drops += size;
    if (size > 0 && cacheEvents.hasSubscribers) this.#publish("drop", size);
    this.#sessions.clear();
    this.#revisions.clear();
    this.#forgotten = 0;
    this.#emittedFrom = Number.POSITIVE_INFINITY;
    this.#first = 0;
  }
}

/** A value that was received lies in a buffer of the socket, which it would keep alive whole. */
function ownCopy(value: Uint8Array): Uint8Array {
  return value.byteLength === value.buffer.byteLength ? value : new Uint8Array(value);
}
