import type { Found } from "../entries/session-entry.js";

/**
 * Finds a session under its handle, or under the one that rotations have given it.
 * @param find reads what is stored under a handle
 * @param met handles that are not to be looked at: a forged tombstone could lead in a circle
 * @returns the last handle that was looked at, with what was found there: a tombstone where the way ends at one
 */
export async function follow(
  handle: string,
  find: (handle: string) => Promise<Found>,
  met: Set<string> = new Set(),
): Promise<{ readonly handle: string; readonly found: Found }> {
  for (let at = handle; ; ) {
    met.add(at);
    const found = await find(at);
    const next = found.tombstone?.movedTo;
    if (next === undefined || met.has(next)) return { handle: at, found };
    at = next;
  }
}
