import { LRUCache } from "lru-cache";
import type { ChangeFeed } from "../changes/feed.js";
import type { StoredSession } from "../context.js";
import { isLive } from "../format/expiry.js";
import { shardOf } from "../format/shards.js";
import type { CacheLimits, ResolvedOptions } from "../resolve-options.js";
import type { CacheStats } from "../types.js";
import { type CacheMessage, cacheEvents } from "../util/channels.js";
import { now } from "../util/timers.js";
import { EmittedRevisions, type UnderWay } from "./emitted-revisions.js";

interface Cached {
  readonly session: StoredSession;
  /** When the read or write of it began, in ms of `now()`. */
  readonly since: number;
}

/** Bytes that a cached session takes beside its value: key, metadata, place in the cache. */
const OVERHEAD = 1024;

/** After so long a session is read again, in ms: a purge of it alone is noticed by nothing else. */
const LONGEST = 60_000;

/**
 * Sessions as they were read or written last, in this process. The change feed drops what other processes write.
 * Since the feed may lose messages, an entry is served only while there is a fresh proof that it emitted everything:
 * the bucket's leader was asked for its last write, and the feed has come that far. A load asks for the next proof
 * in good time, so that nothing runs while nothing is loaded.
 *
 * A copy of the bucket that lags behind may answer with a session from before a change that was emitted already. So
 * its answer enters the cache only when it is newer than every change that was emitted and forgotten.
 */
export class NearCache {
  readonly #feed: ChangeFeed;
  readonly #maxStale: number;
  readonly #options: Pick<ResolvedOptions, "absoluteTtl">;
  readonly #longest: number;
  readonly #sessions: LRUCache<string, Cached>;
  /** What is known of each bucket, by number. */
  readonly #emitted: readonly EmittedRevisions[];
  #listening: { readonly ready: Promise<void>; readonly stop: () => void } | undefined;
  #isReady = false;
  #hits = 0;
  #misses = 0;
  #drops = 0;

  /** @param longest see `LONGEST` */
  constructor(
    feed: ChangeFeed,
    { max, maxBytes, maxStale }: CacheLimits,
    options: Pick<ResolvedOptions, "shards" | "absoluteTtl">,
    longest = LONGEST,
  ) {
    const { shards } = options;
    this.#feed = feed;
    this.#options = options;
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
    this.#emitted = Array.from({ length: shards }, (_, shard) => new EmittedRevisions(feed, shard, shards));
  }

  /** Resolves when the feed is there; after a failure the next call listens again. */
  async ready(): Promise<void> {
    this.#listening ??= this.#feed.listen({
      wrote: (handle, revision) => this.#onWrite(handle, revision),
      missed: (shard) => this.#clearShard(shard),
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
  get(handle: string): StoredSession | undefined {
    const emitted = this.#emittedFor(handle);
    const { age } = emitted;
    if (age > this.#maxStale / 2) void emitted.prove();
    const session = age > this.#maxStale ? undefined : this.#stored(handle, emitted.first);
    if (session) this.#hits++;
    else this.#misses++;
    if (cacheEvents.hasSubscribers) this.#publish(session ? "hit" : "miss");
    return session;
  }

  /** The session as it is in the cache, whether it may be served or not. */
  peek(handle: string): StoredSession | undefined {
    return this.#sessions.peek(handle)?.session;
  }

  /** To be called before a session is read or written; `end` follows. */
  begin(handle: string): UnderWay {
    return this.#emittedFor(handle).begin();
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
  end(handle: string, underWay: UnderWay, session: StoredSession | null, fromLeader: boolean): void {
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

  /**
   * A purge reaches no feed: it shows where the bucket begins later, else by reading the session again. One that has
   * expired may have been renewed, which the feed has not told yet.
   */
  #stored(handle: string, first: number): StoredSession | undefined {
    const cached = this.#sessions.get(handle);
    if (!cached || !isLive(cached.session.metadata, Date.now(), this.#options)) return undefined;
    if (cached.session.revision >= first && now() - cached.since < this.#longest) return cached.session;
    this.#drop(handle);
    return undefined;
  }

  /** Whether no change of the session is known that is newer than this revision. */
  #isNewest(handle: string, underWay: UnderWay, revision: number, fromLeader: boolean): boolean {
    const cached = this.peek(handle)?.revision ?? 0;
    return this.#emittedFor(handle).isNewest(handle, underWay, revision, cached, fromLeader);
  }

  #emittedFor(handle: string): EmittedRevisions {
    return this.#emitted[shardOf(handle, this.#emitted.length)] as EmittedRevisions;
  }

  #onWrite(handle: string, revision: number): void {
    this.#emittedFor(handle).note(handle, revision);
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

  #clearShard(shard: number): void {
    this.#emitted[shard]?.reset();
    for (const handle of [...this.#sessions.keys()]) {
      if (shardOf(handle, this.#emitted.length) === shard) this.#drop(handle);
    }
  }

  #clear(): void {
    for (const emitted of this.#emitted) emitted.reset();
    const { size } = this.#sessions;
    this.#drops += size;
    if (size > 0 && cacheEvents.hasSubscribers) this.#publish("drop", size);
    this.#sessions.clear();
  }
}

/** A value that was received lies in a buffer of the socket, which it would keep alive whole. */
function ownCopy(value: Uint8Array): Uint8Array {
  return value.byteLength === value.buffer.byteLength ? value : new Uint8Array(value);
}
