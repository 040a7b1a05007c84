import { SessionStore } from "../store.js";

/**
 * What a process of a migration does with the two stores.
 *
 * - `"old-first"`: processes of the release before, which know the old store alone, may serve the same browsers. Each
 *   load reads both stores and each write goes to both. What an old process has changed counts, and so does what it
 *   has ended; what it writes back unchanged does not. Ends when no old process runs any more.
 * - `"new-first"`: the old store is asked only for what is not here, and each write still goes to both, so that the
 *   way back to `"old-first"` loses nothing. Ends when going back is not wanted any more.
 * - `"new-only"`: the old store is asked only for what is not here, and gets nothing but ends. Ends, and the option
 *   with it, when the last session that was left in the old store has expired.
 *
 * Processes of two phases that follow each other may run at the same time, in either direction.
 */
export type MigrationPhase = "old-first" | "new-first" | "new-only";

/** The option `migrateFrom` of the adapters. */
export interface MigrateFrom<S extends object> {
  /** The store that holds the sessions now; a store of this project, too. The adapter never closes it. */
  readonly store: S;
  /** @default "new-only" */
  readonly phase?: MigrationPhase | undefined;
}

const PHASES: readonly string[] = ["old-first", "new-first", "new-only"] satisfies MigrationPhase[];

/** What a store of either framework has, and so has one of this project's adapters. */
const METHODS = ["get", "set", "destroy"];

/** @throws TypeError for a wrong option */
export function checkMigrateFrom(option: unknown): void {
  const { store, phase, ...others } = (typeof option === "object" && option !== null ? option : {}) as {
    readonly [name: string]: unknown;
  };
  const unknown = Object.keys(others);
  if (unknown.length > 0) {
    throw new TypeError(
      `Expected \`migrateFrom\` to have \`store\` and \`phase\`, got ${unknown.join(", ")}`,
    );
  }
  const isStore =
    typeof store === "object" &&
    store !== null &&
    (store instanceof SessionStore ||
      METHODS.every((method) => typeof (store as Record<string, unknown>)[method] === "function"));
  if (!isStore) {
    throw new TypeError(`Expected \`migrateFrom.store\` to be a session store, with ${METHODS.join(", ")}`);
  }
  if (phase === undefined || (typeof phase === "string" && PHASES.includes(phase))) return;
  throw new TypeError(`Expected \`migrateFrom.phase\` to be ${PHASES.join(", ")}`);
}
