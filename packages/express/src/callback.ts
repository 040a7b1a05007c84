/** The callbacks of express-session: an error, or nothing and the result. */
// biome-ignore lint/suspicious/noExplicitAny: as @types/express-session declares it
export type Callback<T = void> = (error: any, result?: T) => void;

/**
 * Answers by a callback where there is one, by the promise where there is none. The callback is called exactly
 * once and outside the promise chain: what it throws is the application's error, neither a storage error nor a
 * reason to call it again.
 */
export function answer<T>(promise: Promise<T>, callback: Callback<T> | undefined): Promise<T> | undefined {
  if (!callback) return promise;
  promise.then(
    (result) => process.nextTick(callback, null, result),
    (error) => process.nextTick(callback, error),
  );
  return undefined;
}
