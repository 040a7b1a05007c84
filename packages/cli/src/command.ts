import type { Connection } from "./connection/connection.js";
import type { OptionSpecs, Values } from "./input/arguments.js";
import type { Format } from "./output/format.js";
import type { Terminal } from "./output/terminal.js";

/** What a command runs with. */
export interface Invocation {
  readonly values: Values;
  /** Arguments after the command's name. */
  readonly positionals: readonly string[];
  readonly format: Format;
  readonly terminal: Terminal;
  readonly connection: Connection;
}

export interface Command {
  readonly name: string;
  /** What follows the name in the usage line. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** More lines for the command's own help. */
  readonly details?: string;
  readonly options: OptionSpecs;
  /** The first one is the default. */
  readonly formats: readonly Format[];
  /**
   * The option with the application's prefix in the bucket, where `prefix` means another one.
   * @default "prefix"
   */
  readonly prefixOption?: string;
  /** Whether the command runs until Ctrl-C, which is then its regular end. */
  isEndless?(values: Values): boolean;
  /**
   * Checks the arguments before anything connects.
   * @throws UsageError
   */
  check?(values: Values, positionals: readonly string[]): void;
  /** @returns the exit code; nothing = 0 */
  // biome-ignore lint/suspicious/noConfusingVoidType: most commands return nothing
  run(invocation: Invocation): Promise<number | void>;
}
