import { SessionStoreError } from "./errors.js";
import { Limiter } from "./limiter.js";
import { unavailable } from "./wire/index.js";

/** When none of those in line has had an answer for so long, in ms, it is the bucket that holds them up. */
const STUCK = 250;

/** Those who want to save one session, one after the other. */
class Line {
  readonly limiter = new Limiter(1, () =>
    performance.now() - this.#movedAt < STUCK ? contention() : heldUp(),
  );
  #movedAt = performance.now();

  /** The bucket has answered somebody in the line. */
  moved = (): void => {
    this.#movedAt = performance.now();
  };
}

/** Sessions whose saves have met a conflict in this process. */
const lines = new Map<string, Line>();

export function isContended(key: string): boolean {
  return lines.has(key);
}

/**
 * Runs saves of one session one after the other. Only those that have met a conflict, or find others who have,
 * come here: without it each would make all others of this process read and merge again. The task is to say
 * when the bucket has answered it.
 *
 * @throws `ERR_SESSION_CONTENTION` when the deadline passes while others are before it
 * @throws `ERR_SESSION_UNAVAILABLE` when it does because they wait for the bucket
 */
export async function inLine<T>(
  key: string,
  deadline: number,
  task: (answered: () => void) => Promise<T>,
): Promise<T> {
  const line = lines.get(key) ?? new Line();
  lines.set(key, line);
  try {
    return await line.limiter.run(deadline, () => task(line.moved));
  } finally {
    if (line.limiter.isIdle) lines.delete(key);
  }
}

export function contention(): SessionStoreError {
  return new SessionStoreError(
    "ERR_SESSION_CONTENTION",
    "Others kept changing the session while it was saved.",
  );
}

/** The error for a save whose time went by in waiting for answers rather than in conflicts. */
export function heldUp(): SessionStoreError {
  return unavailable("answers came too late to save the session");
}
