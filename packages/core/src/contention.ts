import { SessionStoreError } from "./errors.js";
import { Limiter } from "./limiter.js";

/** Sessions whose saves have met a conflict in this process, with those who want to save them, in line. */
const queues = new Map<string, Limiter>();

export function isContended(key: string): boolean {
  return queues.has(key);
}

/**
 * Runs saves of one session one after the other. Only those that have met a conflict, or find others who have,
 * come here: without it each would make all others of this process read and merge again.
 *
 * @throws `ERR_SESSION_CONTENTION` when the deadline passes while others are before it
 */
export async function inLine<T>(key: string, deadline: number, task: () => Promise<T>): Promise<T> {
  const queue = queues.get(key) ?? new Limiter(1, contention);
  queues.set(key, queue);
  try {
    return await queue.run(deadline, task);
  } finally {
    if (queue.isIdle) queues.delete(key);
  }
}

export function contention(): SessionStoreError {
  return new SessionStoreError(
    "ERR_SESSION_CONTENTION",
    "Others kept changing the session while it was saved.",
  );
}
