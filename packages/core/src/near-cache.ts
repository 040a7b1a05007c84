import { LRUCache } from "lru-cache";
import type { ChangeFeed } from "./change-feed.js";
import type { StoredSession } from "./context.js";
import type { CacheStats, SessionChange } from "./types.js";

/** How the cache is kept; see the option `cache`. */
export interface CacheLimits {
  /** How many sessions are kept. */
  readonly max: number;
  /** How old the last proof may be that nothing was missed, in ms. */
  readonly maxStale: number;
}

/** A session that is being read or written at the moment. */
export interface UnderWay {
  /** The newest write to it that was told meanwhile. */
  newest: number;
  count: number;
  readonly epoch: number;
}

/**
 * Sessions as they were read or written last, in this process. The change feed drops what others write. Since a
 * feed may lose messages, an entry is served only while there is a fresh proof that it has told everything: the
 * bucket's leader was asked for its last write, and the feed has come that far. Whoever uses the cache asks for
 * the next proof in good time, so that nothing runs while nobody does.
 */
export class NearCache {
  /** Resolves when the feed is there. */
  readonly ready: Promise<void>;
  readonly #feed: ChangeFeed;
  readonly #maxStale: number;
  readonly #sessions: LRUCache<string, StoredSession>;
  readonly #underWay = new Map<string, UnderWay>();
  readonly #stop: () => void;
  /** In ms of `performance.now()`. */
  #provenAt = Number.NEGATIVE_INFINITY;
  #isProving = false;
  /** Grows when all that was known may be wrong. */
  #epoch = 0;
  #hits = 0;
  #misses = 0;
  #drops = 0;

  constructor(feed: ChangeFeed, { max, maxStale }: CacheLimits) {
    this.#feed = feed;
    this.#maxStale = maxStale;
    this.#sessions = new LRUCache({ max });
    const { ready, stop } = feed.listen({
      changed: (change) => this.#onChange(change),
      missed: () => this.#clear(),
      cutOff: () => this.#clear(),
      ended: () => this.#clear(),
    });
    this.ready = ready;
    this.#stop = stop;
  }

  get stats(): CacheStats {
    return { hits: this.#hits, misses: this.#misses, drops: this.#drops, size: this.#sessions.size };
  }

  /** What may be served now. */
  get(handle: string): StoredSession | undefined {
    const age = performance.now() - this.#provenAt;
    if (age > this.#maxStale / 2) void this.#prove();
    const session = age > this.#maxStale ? undefined : this.#sessions.get(handle);
    if (session) this.#hits++;
    else this.#misses++;
    return session;
  }

  /** To be called before a session is read or written, with `end` after it. */
  begin(handle: string): UnderWay {
    let underWay = this.#underWay.get(handle);
    if (underWay?.epoch !== this.#epoch) {
      underWay = { newest: 0, count: 0, epoch: this.#epoch };
      this.#underWay.set(handle, underWay);
    }
    underWay.count++;
    return underWay;
  }

  /** @param session what is stored now; nothing where it is not known, or there is none */
  end(handle: string, underWay: UnderWay, session: StoredSession | null): void {
    underWay.count--;
    if (underWay.count === 0 && this.#underWay.get(handle) === underWay) this.#underWay.delete(handle);
    if (!session) this.#sessions.delete(handle);
    else if (underWay.epoch === this.#epoch && session.revision >= underWay.newest) {
      underWay.newest = session.revision;
      this.#sessions.set(handle, session);
    }
  }

  close(): void {
    this.#stop();
    this.#clear();
  }

  async #prove(): Promise<void> {
    if (this.#isProving) return;
    this.#isProving = true;
    const epoch = this.#epoch;
    try {
      const provenAt = await this.#feed.prove();
      if (epoch === this.#epoch) this.#provenAt = provenAt;
    } catch {
      // Without a proof nothing is served: that is all there is to do about it.
    } finally {
      this.#isProving = false;
    }
  }

  #onChange({ handle, revision }: SessionChange): void {
    const underWay = this.#underWay.get(handle);
    if (underWay) underWay.newest = Math.max(underWay.newest, revision);
    const known = this.#sessions.peek(handle);
    if (known && known.revision < revision) {
      this.#sessions.delete(handle);
      this.#drops++;
    }
  }

  #clear(): void {
    this.#epoch++;
    this.#provenAt = Number.NEGATIVE_INFINITY;
    this.#drops += this.#sessions.size;
    this.#sessions.clear();
    this.#underWay.clear();
  }
}
