import type { EventEmitter } from "node:events";
import type { ChangeType, MissedChanges, SessionChange, SessionChanges } from "./types.js";

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

/**
 * For adapters: emits the changes of a store as events of the emitter, from when the first listener for one is
 * added until the last is removed. Why there are none to tell is an `error` event, or a process warning where
 * nobody listens for that.
 */
export function emitChanges(emitter: EventEmitter, follow: () => SessionChanges): void {
  let changes: SessionChanges | undefined;
  emitter.on("newListener", (event) => {
    if (EVENTS.has(event) && !changes) void pump();
  });
  emitter.on("removeListener", (event) => {
    if (!EVENTS.has(event) || [...EVENTS].some((name) => emitter.listenerCount(name as string) > 0)) return;
    void changes?.return();
    changes = undefined;
  });

  async function pump(): Promise<void> {
    let own: SessionChanges | undefined;
    try {
      changes = follow();
      own = changes;
      for await (const change of own) emit(change.type, change);
    } catch (error) {
      if (emitter.listenerCount("error") > 0) emit("error", error);
      else process.emitWarning(error as Error);
    } finally {
      if (changes === own) changes = undefined;
    }
  }

  /** What a listener throws is the application's own error, as it is for every emitter. */
  function emit(event: string, argument: unknown): void {
    try {
      emitter.emit(event, argument);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}
