import type { ChangeFeed } from "../changes/feed.js";
import { BoundedMap } from "../util/bounded-map.js";
import { now } from "../util/timers.js";

/** A read or write of a session that is under way. */
export interface UnderWay {
  readonly epoch: number;
  readonly emitted: number;
  /** In ms of `now()`. */
  readonly since: number;
}

/** Of so many sessions in all buckets the newest revision that the feed emitted is remembered. */
const MOST_REVISIONS = 20_000;

/**
 * What a near cache knows of one bucket: since when the feed is known to have emitted everything, and which revisions
 * it emitted last. The revisions of different buckets cannot be compared.
 */
export class EmittedRevisions {
  readonly #feed: ChangeFeed;
  readonly #shard: number;
  readonly #most: number;
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
  /** Incremented when everything that the cache has of the bucket is invalidated. */
  #epoch = 0;

  /** @param shard the number of the bucket, of so many @param count */
  constructor(feed: ChangeFeed, shard: number, count: number) {
    this.#feed = feed;
    this.#shard = shard;
    this.#most = Math.ceil(MOST_REVISIONS / count);
    this.#revisions = new BoundedMap(this.#most, (_handle, revision) => {
      this.#forgotten = Math.max(this.#forgotten, revision);
    });
  }

  /** How long ago the feed is known to have been complete, in ms. */
  get age(): number {
    return now() - this.#provenAt;
  }

  /** Number of the bucket's first entry. */
  get first(): number {
    return this.#first;
  }

  begin(): UnderWay {
    return { epoch: this.#epoch, emitted: this.#emitted, since: now() };
  }

  /**
   * Whether no change of the session is known that is newer than this revision.
   * @param cached the revision that is in the cache, 0 = none
   */
  isNewest(
    handle: string,
    underWay: UnderWay,
    revision: number,
    cached: number,
    fromLeader: boolean,
  ): boolean {
    if (underWay.epoch !== this.#epoch || revision < this.#first) return false;
    // A change that was emitted meanwhile may have been forgotten again.
    if (this.#emitted - underWay.emitted >= this.#most / 2) return false;
    if (revision < cached) return false;
    const emitted = this.#revisions.get(handle);
    if (emitted !== undefined) return revision >= emitted;
    return fromLeader || revision > Math.max(this.#forgotten, this.#emittedFrom);
  }

  /** Asks for the next proof, where none is asked for. */
  async prove(): Promise<void> {
    if (this.#isProving) return;
    this.#isProving = true;
    const epoch = this.#epoch;
    try {
      const { provenAt, first, last } = await this.#feed.prove(this.#shard);
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

  note(handle: string, revision: number): void {
    this.#emitted++;
    this.#revisions.set(handle, revision);
  }

  /** Begins again: anything may have been missed. */
  reset(): void {
    this.#epoch++;
    this.#provenAt = Number.NEGATIVE_INFINITY;
    this.#revisions.clear();
    this.#forgotten = 0;
    this.#emittedFrom = Number.POSITIVE_INFINITY;
    this.#first = 0;
  }
}
