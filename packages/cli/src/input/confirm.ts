import { createInterface } from "node:readline";
import { UsageError } from "../exit.js";
import type { Terminal } from "../output/terminal.js";
import type { Values } from "./arguments.js";

/**
 * Asks a question on the terminal; `--yes` answers it.
 * @throws UsageError where there is no terminal to ask on
 */
export async function confirm(question: string, values: Values, terminal: Terminal): Promise<boolean> {
  if (values.has("yes")) return true;
  requireConfirmable(values);
  terminal.clearProgress();
  // Without a mode of its own for the terminal, Ctrl-C stays the signal that it is everywhere else.
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    process.stderr.write(`${question} [y/N] `);
    for await (const line of lines) return /^y(es)?$/i.test(line.trim());
    return false;
  } finally {
    lines.close();
  }
}

/** @throws UsageError where a question would be asked and cannot be */
export function requireConfirmable(values: Values): void {
  if (values.has("yes") || values.has("dry-run")) return;
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  throw new UsageError("Expected --yes or --dry-run: there is no terminal to ask on");
}
