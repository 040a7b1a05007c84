import type { Terminal } from "../output/terminal.js";
import { bytesText, durationText, printable } from "../output/text.js";

/** Settings of a stream that count nanoseconds. */
const DURATIONS: ReadonlySet<string> = new Set(["max_age", "subject_delete_marker_ttl", "duplicate_window"]);

/** A setting of the bucket's stream as people read it. */
export function settingText(field: string, value: unknown): string {
  if (value === undefined) return "not set";
  if (DURATIONS.has(field) && typeof value === "number")
    return value === 0 ? "none" : durationText(value / 1e6);
  if (field === "max_bytes" && typeof value === "number") return value <= 0 ? "no limit" : bytesText(value);
  return printable(typeof value === "string" ? value : (JSON.stringify(value) ?? "not set"));
}

/** Lines of names and what belongs to them. */
export function settingLines(
  rows: readonly (readonly [name: string, text: string])[],
  terminal: Terminal,
): string[] {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${terminal.style("bold", name.padEnd(width))}  ${text}`);
}
