import { readFileSync } from "node:fs";
import { type SessionErrorCode, SessionStoreError } from "nats-session-store";
import type { Command } from "./command.js";
import { COMMANDS } from "./commands/index.js";
import { COMMON_OPTIONS, NATS_USER_ALIAS } from "./connection/common-options.js";
import { Connection } from "./connection/connection.js";
import { CommandError, EXIT, UnavailableError, UsageError } from "./exit.js";
import { commandHelp, generalHelp } from "./help.js";
import { parseArguments, splitCommand, type Values } from "./input/arguments.js";
import type { Format } from "./output/format.js";
import { Terminal } from "./output/terminal.js";
import { printable } from "./output/text.js";

/** Warnings of the store of what `doctor` reports. */
const LEFT_TO_DOCTOR: ReadonlySet<unknown> = new Set([
  "NATS_SESSION_SERVER_FAULT",
  "NATS_SESSION_OLD_BUCKET",
]);

/** Runs the program. @returns its exit code */
export async function runCli(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const terminal = new Terminal(env, args.includes("--no-color"));
  process.removeAllListeners("warning");
  process.on("warning", (warning: Error & { code?: string }) => {
    if (!LEFT_TO_DOCTOR.has(warning.code))
      terminal.note(`nats-sessions: warning: ${printable(warning.message)}`);
  });
  try {
    return await runCommand(args, env, terminal);
  } catch (error) {
    terminal.note(`nats-sessions: ${printable(messageOf(error))}`);
    return exitCodeOf(error);
  }
}

async function runCommand(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  terminal: Terminal,
): Promise<number> {
  const leading = { ...COMMON_OPTIONS, ...NATS_USER_ALIAS, version: { type: "boolean", help: "" } as const };
  const { name, rest } = splitCommand(args, leading);
  if (name === undefined) return withoutCommand(args, terminal);
  const command = COMMANDS.find((one) => one.name === name);
  if (!command) throw new UsageError(`Unknown command. Expected ${names()}`);

  const { values, positionals } = parsed(command, rest);
  if (values.has("help")) {
    await terminal.print(commandHelp(command));
    return EXIT.ok;
  }
  const format = values.oneOf<Format>("format", command.formats) ?? (command.formats[0] as Format);
  const takesArguments = command.usage.startsWith("HANDLE");
  if (!takesArguments && positionals.length > 0) {
    throw new UsageError(`Expected no argument after ${name} other than options`);
  }
  command.check?.(values, positionals);
  onInterrupt(command, values, terminal);
  const connection = new Connection(values, env, command.prefixOption);
  try {
    const code = await command.run({ values, positionals, format, terminal, connection });
    return code ?? EXIT.ok;
  } catch (error) {
    const hint = error instanceof SessionStoreError && HINTS[error.code]?.(connection.title);
    if (hint) throw new CommandError(`${hint} (${error.code})`);
    if (!isNoServer(error)) throw error;
    throw new UnavailableError(`${messageOf(error)}. Tried: ${connection.servers}`);
  } finally {
    terminal.clearProgress();
    // What is left open ends with the process.
    await Promise.race([
      connection.close().catch(() => {}),
      new Promise((resolve) => setTimeout(resolve, 1000).unref()),
    ]);
  }
}

/** Where `--user` means no session's user, it is the NATS user, as in the `nats` command line. */
function parsed(command: Command, args: readonly string[]): ReturnType<typeof parseArguments> {
  const alias = "user" in command.options ? {} : NATS_USER_ALIAS;
  const result = parseArguments(
    args,
    { ...COMMON_OPTIONS, ...alias, ...command.options },
    `${command.name} `,
  );
  const { values } = result;
  if (!("user" in command.options)) {
    for (const user of values.all("user")) values.add("nats-user", user);
  }
  return result;
}

async function withoutCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = parseArguments(args, { ...COMMON_OPTIONS, version: { type: "boolean", help: "" } });
  if (values.has("help")) await terminal.print(generalHelp());
  else if (values.has("version")) await terminal.print(version());
  else throw new UsageError(`Expected a command: ${names()}. See: nats-sessions --help`);
  return EXIT.ok;
}

/** Ctrl-C ends the program at once; for a command that runs until then it is the regular end. */
function onInterrupt(command: Command, values: Values, terminal: Terminal): void {
  const code = command.isEndless?.(values) ? EXIT.ok : EXIT.interrupted;
  process.once("SIGINT", () => {
    terminal.clearProgress();
    process.exit(code);
  });
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof UnavailableError ? EXIT.unavailable : EXIT.failed;
}

function isNoServer(error: unknown): boolean {
  return error instanceof SessionStoreError && NO_SERVER.has(error.code);
}

const NO_SERVER: ReadonlySet<string> = new Set(["ERR_SESSION_UNAVAILABLE", "ERR_SESSION_JETSTREAM_OFF"]);

/** What the store says to a programmer, in words for a person at the command line. */
const HINTS: { readonly [code in SessionErrorCode]?: (title: string) => string } = {
  ERR_SESSION_BUCKET_MISSING: (title) => `There is no bucket ${title}; nats-sessions init makes it`,
  ERR_SESSION_NO_FEED: (title) => `The bucket ${title} has no change feed; nats-sessions upgrade adds it`,
};

/** What a person at the command line can do about it. */
const NEXT: { readonly [code in SessionErrorCode]?: string } = {
  ERR_SESSION_BUCKET_MISMATCH: ". See: nats-sessions doctor",
};

/** One line. What the client said of a failed connection is the cause of the store's error. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : "";
  const more = cause !== "" && !error.message.includes(cause) ? `: ${cause}` : "";
  const isKnown = [UsageError, CommandError, UnavailableError, SessionStoreError].some(
    (type) => error instanceof type,
  );
  const code = error instanceof SessionStoreError ? ` (${error.code})` : "";
  const text = isKnown ? error.message : `${error.name}: ${error.message}`;
  const next = error instanceof SessionStoreError ? (NEXT[error.code] ?? "") : "";
  return text.replace(/\.$/, "") + more + code + next;
}

function names(): string {
  return COMMANDS.map(({ name }) => name).join(", ");
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
