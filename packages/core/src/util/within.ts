import { clearTimeout, now, setTimeout } from "./timers.js";

/**
 * Waits for a task until a deadline (ms of `now()`), then rejects with `late()`. A rejection that comes later is
 * dropped.
 */
export function within<T>(deadline: number, task: PromiseLike<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.max(0, deadline - now()));
    task.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
