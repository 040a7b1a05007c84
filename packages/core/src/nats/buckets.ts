import type { NatsConnectionLike, NatsConnectionSource } from "../types.js";
import { idleSleep, now } from "../util/timers.js";
import { Bucket } from "./bucket.js";
import { BucketWarnings } from "./bucket-warnings.js";
import { Link } from "./link.js";
import type { ServerAddress } from "./server-address.js";
import { shardName } from "./shard.js";
import { checkSiblings } from "./siblings.js";
import type { StreamFacts } from "./stream.js";
import type { BucketOptions } from "./stream-config.js";
import { subjectsOf } from "./subjects.js";

/** What the store was asked to make of its buckets. */
export interface BucketsOptions extends Omit<BucketOptions, "shard"> {
  /** How many buckets there are; one is a bucket of its own. */
  readonly shards: number;
}

/** What all buckets of a store have in common. */
export type CommonFacts = Pick<StreamFacts, "ttls" | "maxAge" | "maxTtl">;

/** How often a bucket of several that is missing is looked for, in ms. */
const LOOK = 1000;

/** The options of each bucket. */
export function optionsOfEach(options: BucketsOptions): readonly BucketOptions[] {
  const { bucket, shards: count } = options;
  if (count === 1) return [options];
  return Array.from({ length: count }, (_, number) => {
    return { ...options, bucket: shardName(bucket, number), shard: { number, count } };
  });
}

/**
 * The buckets of a store, over one connection: one, or several that hold the sessions together. They are opened
 * together. A bucket of several that goes missing later affects only what lies in it.
 */
export class Buckets {
  readonly all: readonly Bucket[];
  readonly #options: BucketsOptions;
  readonly #link: Link;
  readonly #first: Bucket;
  readonly #isSole: boolean;
  readonly #awaited = new Set<Bucket>();
  #wasOpen = false;
  #closed = false;

  /** @throws TypeError for anything that cannot give a connection */
  constructor(source: NatsConnectionSource, options: BucketsOptions) {
    this.#options = options;
    this.#link = new Link(source, options.timeout);
    const warnings = new BucketWarnings();
    const each = optionsOfEach(options);
    this.all = each.map((one, number) => {
      const mayCreate = (nc: NatsConnectionLike, deadline: number) =>
        checkSiblings(nc, options.bucket, each, number, deadline);
      return new Bucket(this.#link, one, warnings, mayCreate, (bucket) => this.#onMissing(bucket));
    });
    this.#first = this.all[0] as Bucket;
    this.#isSole = this.all.length === 1;
  }

  /** The name that the store has for them: that of the only one, or what the names of several begin with. */
  get name(): string {
    return this.#options.bucket;
  }

  /** Which JetStream holds them, for errors, after a name: empty for the account's own one. */
  get where(): string {
    return subjectsOf(this.#options).where;
  }

  /** The server that the connection leads to, where there is one and the client tells. */
  get server(): ServerAddress | undefined {
    return this.#link.server;
  }

  /** How many there are. */
  get count(): number {
    return this.all.length;
  }

  get isOpen(): boolean {
    if (this.#isSole) return this.#first.isOpen;
    if (!this.#wasOpen) return false;
    for (const bucket of this.all) if (!bucket.isOpen && !bucket.isMissing) return false;
    return true;
  }

  /** When the server last answered, in ms of `now()`. */
  get repliedAt(): number {
    return this.#link.repliedAt;
  }

  /** One bucket, by its number. */
  at(number: number): Bucket {
    return this.#isSole ? this.#first : (this.all[number] as Bucket);
  }

  /**
   * Opens the buckets that are not open. One that went missing later is left to `#onMissing`.
   * @param deadline ms of `now()`: how long this caller waits for the opening, which it shares with others
   * @param isMissing looks for all of them again, because one is said to be missing
   */
  async open(deadline: number, isMissing = false): Promise<void> {
    if (this.#wasOpen && !isMissing) {
      await Promise.all(this.all.map((bucket) => bucket.isMissing || bucket.open(deadline)));
      return;
    }
    await this.#first.open(deadline, isMissing);
    if (this.#isSole) return;
    await Promise.all(this.all.map((bucket) => bucket.open(deadline, isMissing)));
    this.#wasOpen = true;
  }

  /** What holds in all of them: the shortest of their times. */
  get facts(): CommonFacts {
    if (this.#isSole) return this.#first.facts;
    let [ttls, maxAge, maxTtl] = [true, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const { facts } of this.all) {
      ttls &&= facts.ttls;
      maxAge = Math.min(maxAge, facts.maxAge);
      maxTtl = Math.min(maxTtl, facts.maxTtl);
    }
    return { ttls, maxAge, maxTtl };
  }

  /** How many entries they hold together. */
  async countEntries(deadline: number): Promise<number> {
    const positions = await Promise.all(this.all.map((bucket) => bucket.position(deadline)));
    return positions.reduce((sum, { entries }) => sum + entries, 0);
  }

  /** Ends the subscriptions; the NATS connection is left alone. */
  close(): void {
    this.#closed = true;
    for (const bucket of this.all) bucket.close();
    this.#link.close();
  }

  /** Operations on the other buckets go on, and those on this one must find it when it is back. */
  async #onMissing(bucket: Bucket): Promise<void> {
    if (this.#isSole || this.#awaited.has(bucket)) return;
    this.#awaited.add(bucket);
    while (bucket.isMissing && !this.#closed) {
      await bucket.open(now() + this.#options.timeout).catch(() => {});
      if (bucket.isMissing) await idleSleep(LOOK);
    }
    this.#awaited.delete(bucket);
  }
}
