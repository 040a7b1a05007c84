import { type Format, objectOf, rowWriter } from "../output/format.js";
import type { Terminal } from "../output/terminal.js";
import { bytesText, jsonLine, numberText, printable, shortTime } from "../output/text.js";
import { barsOf } from "./chart.js";
import { STATS_COLUMNS, type StatsRow } from "./columns.js";
import type { Activity } from "./totals.js";

const LABEL = 12;
const NUMBER = 14;

/** Prints reports one after the other, in a format for machines or line by line. */
export function statsWriter(format: Format, terminal: Terminal): (row: StatsRow) => Promise<void> {
  if (format === "table") return (row) => terminal.print(...statsLines(row, terminal));
  if (format === "json") {
    return (row) => {
      const keys = Object.fromEntries([...row.totals.keys].filter(([id]) => id !== ""));
      return terminal.print(jsonLine({ ...objectOf(STATS_COLUMNS, row), keys }));
    };
  }
  const writer = rowWriter(format, terminal, STATS_COLUMNS, () => "");
  return (row) => writer.write([row]);
}

/** The report for people. */
export function statsLines({ bucket, totals, activity }: StatsRow, terminal: Terminal): string[] {
  const line = (label: string, number: number, more = "") =>
    `${label.padEnd(LABEL)}${terminal.style("bold", numberText(number).padStart(NUMBER))}${more}`;
  const size = (label: string, bytes: number) =>
    `${label.padEnd(LABEL)}${terminal.style("bold", bytesText(bytes).padStart(NUMBER))}`;
  const keys = [...totals.keys].sort(([, one], [, other]) => other - one);
  return [
    `${terminal.style("bold", bucket)}, ${totals.isExact ? "counted" : "estimated"} at ${shortTime(totals.at)}`,
    "",
    line("live", totals.live),
    ...keys.map(([id, number]) => line(id === "" ? "  plain" : `  ${printable(id)}`, number)),
    line("users", totals.users),
    line("tombstones", totals.tombstones),
    ...(totals.expired > 0 ? [line("expired", totals.expired, "  not removed yet")] : []),
    ...(totals.unreadable > 0 ? [line("unreadable", totals.unreadable)] : []),
    size("sessions", totals.sessionBytes),
    size("bucket", totals.bucketBytes),
    "",
    "in the last minute",
    line("sign-ins", activity.signIns),
    line("ends", activity.ends),
    line("expiries", activity.expiries),
    line("merges", activity.merges),
  ];
}

/** Draws the report with a chart, over the one before. */
export class StatsScreen {
  readonly #terminal: Terminal;
  #height = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  async draw(row: StatsRow, seconds: readonly Activity[], missed: number): Promise<void> {
    const width = Math.max(10, Math.min(60, (process.stdout.columns || 80) - LABEL - 1));
    const bars = (count: (activity: Activity) => number) => barsOf(seconds.map(count), width);
    const all = [
      ...statsLines(row, this.#terminal),
      "",
      "second by second",
      `${"sign-ins".padEnd(LABEL)}${this.#terminal.style(
        "green",
        bars(({ signIns }) => signIns),
      )}`,
      `${"ends".padEnd(LABEL)}${this.#terminal.style(
        "red",
        bars(({ ends, expiries }) => ends + expiries),
      )}`,
      missed > 0 ? this.#terminal.style("magenta", "some changes may have been missed") : "",
      `${shortTime(row.at)}; Ctrl-C ends it`,
    ];
    // What scrolls out of the screen cannot be drawn over.
    const lines = all.slice(0, Math.max(1, (process.stdout.rows || 24) - 1));
    // Up to the first line of the report before, and clear from there.
    const back = this.#height > 0 ? `\u001b[${this.#height}A\u001b[J` : "";
    this.#height = lines.length;
    await this.#terminal.write(`${back}${lines.join("\n")}\n`);
  }
}
