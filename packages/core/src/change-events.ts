import type { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChangeType, MissedChanges, SessionChange, SessionChanges } from "./types.js";
import { isUnavailable } from "./wire/index.js";

/** The events of a store that tell of changes. */
export type ChangeEvents = { [type in ChangeType]: [change: SessionChange] } & { missed: [MissedChanges] };

const EVENTS: ReadonlySet<unknown> = new Set<keyof ChangeEvents>([
  "created",
  "updated",
  "touched",
  "destroyed",
  "expired",
  "missed",
]);

/** How long after an outage a store that could not be opened is tried again, in ms. */
const RETRY = 2_000;

/**
 * For adapters: emits the changes of a store as events of the emitter, from when the first listener for one is
 * added until the last is removed. Why there are none to tell is an `error` event, or a process warning where
 * nobody listens for that.
 */
export function emitChanges(emitter: EventEmitter, follow: () => SessionChanges): void {
  let pump: Pump | undefined;
  emitter.on("newListener", (event) => {
    if (!EVENTS.has(event) || pump?.isRunning) return;
    pump = new Pump(emitter, follow);
    void pump.run();
  });
  emitter.on("removeListener", (event) => {
    if (!EVENTS.has(event) || [...EVENTS].some((name) => emitter.listenerCount(name as string) > 0)) return;
    pump?.stop();
    pump = undefined;
  });
}

class Pump {
  isRunning = true;
  #changes: SessionChanges | undefined;
  /** In an outage, which is told once, however long it lasts. */
  #isDown = false;

  constructor(
    private readonly emitter: EventEmitter,
    private readonly follow: () => SessionChanges,
  ) {}

  async run(): Promise<void> {
    while (this.isRunning) {
      const error = await this.#emitAll();
      if (!error || !this.isRunning) break;
      const isOutage = isUnavailable(error);
      if (!isOutage || !this.#isDown) this.#tell(error);
      if (!isOutage) break;
      this.#isDown = true;
      await sleep(RETRY, undefined, { ref: false });
    }
    this.isRunning = false;
  }

  stop(): void {
    this.isRunning = false;
    // A store that could not be opened rejects this too; its error has been told.
    this.#changes?.return().catch(() => {});
  }

  /** @returns why there are no more, or nothing when the store was closed or nobody listens any more */
  async #emitAll(): Promise<Error | undefined> {
    try {
      this.#changes = this.follow();
      this.#changes.ready.then(
        () => this.#onLive(),
        () => {},
      );
      for await (const change of this.#changes) this.#emit(change.type, change);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  #onLive(): void {
    if (this.#isDown) this.#emit("missed", { type: "missed" } satisfies MissedChanges);
    this.#isDown = false;
  }

  #tell(error: Error): void {
    if (this.emitter.listenerCount("error") > 0) this.#emit("error", error);
    else process.emitWarning(error);
  }

  /** What a listener throws is the application's own error, as it is for every emitter. */
  #emit(event: string, argument: unknown): void {
    try {
      this.emitter.emit(event, argument);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}
