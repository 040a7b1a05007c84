/** What the program ends with. `doctor` uses 0, 1 and 2 as monitoring plugins do, and 3 for "unknown". */
export const EXIT = {
  ok: 0,
  /** The command could not do what was asked; `doctor`: warning. */
  failed: 1,
  /** Wrong use; `doctor`: critical. */
  usage: 2,
  /** No server to talk to. */
  unavailable: 3,
  /** Ended by Ctrl-C, as shells have it. */
  interrupted: 130,
} as const;

/** Wrong use of the program. The message says what was expected, in one line, and quotes nothing secret. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** No server answered. The message holds the store's error. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
}

/** A command that could not do what was asked, for a reason that the message gives in one line. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
