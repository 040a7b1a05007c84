import { AsyncLocalStorage } from "node:async_hooks";

const shift = new AsyncLocalStorage<number>();

/** Lets parts of a process have clocks that are off, as different machines have. @returns undoes it */
export function shiftClocks(): () => void {
  const { now } = Date;
  Date.now = () => now() + (shift.getStore() ?? 0);
  return () => {
    Date.now = now;
  };
}

/** Runs a task, and all that it starts, under a clock that is off by so many ms. */
export function underClock(ms: number): <R>(task: () => R) => R {
  return (task) => shift.run(ms, task);
}
