import type { Command } from "./command.js";
import { COMMANDS } from "./commands/index.js";
import { COMMON_OPTIONS } from "./connection/common-options.js";
import type { OptionSpecs } from "./input/arguments.js";

export function generalHelp(): string {
  return [
    "Usage: nats-sessions COMMAND [options]",
    "",
    "See, end and watch the sessions in a NATS bucket, and check the bucket.",
    "",
    "Commands:",
    ...table(COMMANDS.map(({ name, summary }) => [name, summary])),
    "",
    "Options of every command:",
    ...optionLines({ ...COMMON_OPTIONS, version: { type: "boolean", help: "the version of this program" } }),
    "",
    "nats-sessions COMMAND --help shows the options of one command.",
  ].join("\n");
}

export function commandHelp({ name, usage, summary, details, options, formats }: Command): string {
  return [
    `Usage: nats-sessions ${name} ${usage}`,
    "",
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    ...(details === undefined ? [] : [details]),
    "",
    `Formats: ${formats.join(", ")}.`,
    "",
    "Options:",
    ...optionLines(options),
    "",
    "Options of every command:",
    ...optionLines(COMMON_OPTIONS),
  ].join("\n");
}

function optionLines(specs: OptionSpecs): string[] {
  return table(
    Object.entries(specs).map(([name, { value, help }]) => [
      value === undefined ? `--${name}` : `--${name} ${value}`,
      help,
    ]),
  );
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([first]) => first.length));
  return rows.map(([first, second]) => `  ${first.padEnd(width)}  ${second}`);
}
