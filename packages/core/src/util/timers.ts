/**
 * The timers as they are when the store is imported. Fake timers of a test runner that are installed later take over
 * the global functions; the store's requests, deadlines and pauses then still run in real time. `Date` is not taken
 * from here: a test may move it.
 */
const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = globalThis;
const { nextTick } = process;
const clock = globalThis.performance;
const read = clock.now;

/** Monotonic time in ms, for deadlines and durations. */
export function now(): number {
  return read.call(clock);
}

/** Resolves after `ms`; keeps the process alive meanwhile. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** As `sleep`, for background work: it does not keep the process alive. */
export function idleSleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

/** Resolves at the end of this turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export { clearInterval, clearTimeout, nextTick, setImmediate, setInterval, setTimeout };
