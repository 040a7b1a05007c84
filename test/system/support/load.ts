import { setTimeout as sleep } from "node:timers/promises";
import { SessionStore } from "nats-session-store";
import { answered } from "../../support/answered.js";
import { randomFrom, seed } from "../../support/random.js";
import type { Connection } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { rounds } from "./expectations.js";
import { type Failure, type Log, type Operation, Worker } from "./worker.js";

/** Sessions of each store's own, and sessions that all stores change at the same time. */
const OWN = 6;
const SHARED = 3;

/** Between two operations of a worker, in ms: in the short form other tests need the processors too. */
const PAUSE = rounds(5, 2);

/** After an operation that failed, in ms. */
const PAUSE_AFTER_FAILURE = 20;

/** What workers do to a few sessions, over and over, until they are stopped. */
export class Load implements Log {
  readonly failures: Failure[] = [];
  readonly violations: string[] = [];
  /** When each write was acknowledged, in ms of `performance.now()`. */
  readonly writes: number[] = [];
  readonly counts: Record<Operation, number> = { load: 0, save: 0, touch: 0, destroy: 0 };
  /** Longest operation, in ms. */
  slowest = 0;
  readonly #workers: Worker[];
  readonly #running: Promise<void>[];
  #going = true;

  private constructor(stores: SessionStore[]) {
    console.log(`SESSION_TEST_SEED=${seed}`);
    this.#workers = stores.flatMap((store, n) => [
      ...Array.from({ length: OWN }, (_, i) => this.#worker(`own-${n}-${i}`, "n", store, n * 100 + i, true)),
      ...Array.from({ length: SHARED }, (_, i) =>
        this.#worker(`shared-${i}`, `n${n}`, store, n * 200 + i, false),
      ),
    ]);
    this.#running = this.#workers.map((worker) => this.#repeat(worker));
  }

  /** Begins to work with the stores, which must share a bucket. */
  static async start(...stores: SessionStore[]): Promise<Load> {
    for (let i = 0; i < SHARED; i++) await answered(async () => stores[0]?.save(`shared-${i}`, {}));
    return new Load(stores);
  }

  /** Resolves when each kind of operation has succeeded so many more times. */
  async further(times: number, timeout = 60_000): Promise<void> {
    const goals = Object.entries(this.counts).map(
      ([operation, count]) => [operation, count + times] as const,
    );
    await until(
      `${times} more of each operation`,
      () => goals.every(([operation, goal]) => this.counts[operation as Operation] >= goal),
      timeout,
    );
  }

  /** Resolves when an operation that began after now has failed. */
  async failure(operations: Operation[] = ["load", "save", "touch", "destroy"]): Promise<void> {
    const now = performance.now();
    await until(
      `a failure of ${operations}`,
      () => this.failures.some(({ operation, at }) => at > now && operations.includes(operation)),
      30_000,
    );
  }

  /** Lets the operations under way end. Nothing may go on for longer than `timeout` ms and a little. */
  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#running);
  }

  /** Stops, and reads all sessions through a new store: what was acknowledged must be there. */
  async verify(nc: Connection, bucket: string): Promise<void> {
    await this.stop();
    const store = await SessionStore.open(nc, { bucket, timeout: 20_000, createBucket: false });
    for (const worker of this.#workers) await worker.verify(store);
    await store.close();
  }

  /** How many acknowledged writes were lost, and how many ended sessions live again. */
  get broken(): { readonly lost: number; readonly revived: number } {
    const revived = this.violations.filter((what) => what.includes("acknowledged null")).length;
    return { lost: this.violations.length - revived, revived };
  }

  /** Codes of the failures, each once. */
  get codes(): string[] {
    return [...new Set(this.failures.map(({ code }) => code))].sort();
  }

  /** From a moment to the last failure of an operation, in ms; 0 when none failed. */
  errorWindow(since: number): number {
    return Math.max(
      0,
      ...this.failures.filter(({ at, ms }) => at + ms > since).map(({ at, ms }) => at + ms - since),
    );
  }

  /** The longest time without an acknowledged write after a moment, in ms. */
  longestGap(since: number): number {
    const times = [since, ...this.writes.filter((at) => at > since)];
    return Math.max(...times.slice(1).map((at, n) => at - (times[n] as number)));
  }

  succeeded(operation: Operation, ms: number): void {
    this.counts[operation]++;
    this.slowest = Math.max(this.slowest, ms);
    if (operation === "save") this.writes.push(performance.now());
  }

  failed(failure: Failure): void {
    this.failures.push(failure);
    this.slowest = Math.max(this.slowest, failure.ms);
  }

  violated(what: string): void {
    this.violations.push(what);
  }

  #worker(id: string, key: string, store: SessionStore, n: number, alone: boolean): Worker {
    return new Worker(id, key, store, this, randomFrom(seed + n), alone);
  }

  async #repeat(worker: Worker): Promise<void> {
    while (this.#going) {
      await sleep((await worker.step()) ? PAUSE : PAUSE_AFTER_FAILURE);
    }
  }
}
