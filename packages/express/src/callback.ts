import { nextTick } from "nats-session-store/adapter";

/** The callbacks of express-session: an error, or nothing and the result. */
// biome-ignore lint/suspicious/noExplicitAny: as @types/express-session declares it
export type Callback<T = void> = (error: any, result?: T) => void;

/**
 * Answers by a callback where there is one, by the promise where there is none. The callback is called exactly once
 * and outside of the promise chain: an error that it throws is the application's, not one of the store.
 */
export function answer<T>(promise: Promise<T>, callback: Callback<T> | undefined): Promise<T> | undefined {
  if (typeof callback !== "function") return promise;
  promise.then(
    (result) => nextTick(callback, null, result),
    (error) => nextTick(callback, error),
  );
  return undefined;
}
