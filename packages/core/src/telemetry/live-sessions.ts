import type { ObservableCallback } from "@opentelemetry/api";
import { SessionStoreError } from "../errors.js";
import type { SessionStore } from "../store.js";
import type { SessionChanges } from "../types.js";
import { idleSleep, now } from "../util/timers.js";
import { bucketAttributes } from "./attributes.js";
import type { Instruments } from "./instruments.js";

/** Pause before a feed that has failed is followed again, in ms. */
const RETRY = 5_000;

/** The sessions are counted again after so long, in ms, or so many times the time that it took. */
const RECOUNT = 600_000;
const RECOUNT_FACTOR = 50;

/** A count during which sessions began or ended is made again at most so often. */
const MOST_COUNTS = 3;

// biome-ignore lint/suspicious/noExplicitAny: whatever data their sessions hold
type Store = SessionStore<any>;

/**
 * How many sessions are live in the buckets of some stores: counted once from the headers of all entries, then kept by
 * the change feed, and counted again from time to time and wherever changes are missing.
 */
export class LiveSessions {
  readonly #instruments: Instruments;
  readonly #live = new Map<Store, number>();
  readonly #reading = new Set<SessionChanges>();
  readonly #observe: ObservableCallback;
  #isStopped = false;

  constructor(instruments: Instruments, stores: readonly Store[]) {
    this.#instruments = instruments;
    this.#observe = (result) => {
      for (const [{ bucket }, live] of this.#live) result.observe(live, bucketAttributes(bucket));
    };
    instruments.live.addCallback(this.#observe);
    for (const store of stores) void this.#follow(store);
  }

  stop(): void {
    this.#isStopped = true;
    this.#instruments.live.removeCallback(this.#observe);
    for (const changes of this.#reading) void changes.return();
  }

  /** Until it is stopped, the store is closed, or the bucket has no feed. */
  async #follow(store: Store): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#read(store);
      } catch (error) {
        const { code } = error instanceof SessionStoreError ? error : { code: undefined };
        this.#live.delete(store);
        if (code === "ERR_SESSION_NO_FEED" || code === "ERR_SESSION_CLOSED") return;
      }
      if (!this.#isStopped) await idleSleep(RETRY);
    }
    this.#live.delete(store);
  }

  async #read(store: Store): Promise<void> {
    const changes = store.changes({ buffer: 100_000 });
    this.#reading.add(changes);
    try {
      await changes.ready;
      const counter = new Counter(store, (live) => this.#live.set(store, live));
      counter.count();
      for await (const { type } of changes) {
        if (type === "expired") this.#instruments.expired.add(1, bucketAttributes(store.bucket));
        if (type === "created") counter.add(1);
        else if (type === "destroyed" || type === "expired") counter.add(-1);
        else if (type === "missed") counter.count();
        else counter.countIfDue();
      }
      counter.stop();
    } finally {
      this.#reading.delete(changes);
    }
  }
}

/** Keeps the number of one store's live sessions. */
class Counter {
  readonly #store: Store;
  readonly #report: (live: number) => void;
  #live: number | undefined;
  /** How many sessions began and ended since the count under way began. */
  #changes = 0;
  #isCounting = false;
  #isOver = false;
  /** In ms of `now()`. */
  #recountAt = Number.POSITIVE_INFINITY;

  constructor(store: Store, report: (live: number) => void) {
    this.#store = store;
    this.#report = report;
  }

  add(change: 1 | -1): void {
    this.#changes++;
    if (this.#live !== undefined) this.#set(Math.max(0, this.#live + change));
    this.countIfDue();
  }

  countIfDue(): void {
    if (now() >= this.#recountAt) this.count();
  }

  count(): void {
    if (!this.#isCounting) void this.#count();
  }

  stop(): void {
    this.#isOver = true;
  }

  async #count(): Promise<void> {
    this.#isCounting = true;
    const since = now();
    try {
      for (let counts = 1; counts <= MOST_COUNTS; counts++) {
        this.#changes = 0;
        const live = await this.#store.count({ exact: true });
        this.#set(live);
        if (this.#changes === 0) break;
      }
    } catch {
      // The next change counts again.
    } finally {
      this.#isCounting = false;
      const took = now() - since;
      this.#recountAt = this.#live === undefined ? now() : now() + Math.max(RECOUNT, RECOUNT_FACTOR * took);
    }
  }

  #set(live: number): void {
    this.#live = live;
    if (!this.#isOver) this.#report(live);
  }
}
