import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { inject, onTestFinished } from "vitest";
import { until } from "../../support/wait.js";

const MAIN = fileURLToPath(new URL("../../../packages/cli/dist/main.js", import.meta.url));

/** Longer than a busy machine lets a server stand still. */
export const TIMEOUT = "60s";

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  /** Variables beside those that every program needs. */
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Whether the current server and a patient timeout are given. */
  readonly bare?: boolean;
}

/** A running nats-sessions. It ends with the test. */
export class Program {
  stdout = "";
  stderr = "";
  readonly ended: Promise<Result>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
  }

  /** Waits until the output contains a text. */
  async printed(text: string | RegExp): Promise<void> {
    const contains = () =>
      typeof text === "string"
        ? (this.stdout + this.stderr).includes(text)
        : text.test(this.stdout + this.stderr);
    let isOver = false;
    void this.ended.then(() => {
      isOver = true;
    });
    await until(`the program to print ${text}`, () => {
      if (contains()) return true;
      if (isOver) throw new Error(`It ended without printing ${text}:\n${this.stdout}${this.stderr}`);
      return false;
    });
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }
}

/** Starts nats-sessions with its output in pipes. */
export function start(args: readonly string[], { env, input, bare }: ProgramOptions = {}): Program {
  const child = spawn(process.execPath, [MAIN, ...args, ...(bare ? [] : defaults(args))], {
    env: { ...basic(), ...(bare ? {} : { NATS_URL: inject("currentServer") }), ...env },
    stdio: "pipe",
  });
  child.stdin.end(input);
  return new Program(child);
}

/** Runs nats-sessions to its end, with its output in pipes. */
export function run(args: readonly string[], options?: ProgramOptions): Promise<Result> {
  return start(args, options).ended;
}

/** Starts nats-sessions in a pseudo-terminal, that of `script` (util-linux). Both outputs come as one. */
export function startInTerminal(args: readonly string[], { env }: ProgramOptions = {}): Program {
  // The shell becomes the program: it would end by Ctrl-C too, with a code of its own.
  const command = `exec ${[process.execPath, MAIN, ...args, ...defaults(args)].map(quoted).join(" ")}`;
  // The exit code is the command's, and all output comes at once.
  const child = spawn("script", ["--quiet", "--return", "--flush", "--command", command, "/dev/null"], {
    env: { ...basic(), NATS_URL: inject("currentServer"), SHELL: "/bin/sh", TERM: "xterm", ...env },
    stdio: "pipe",
  });
  return new Program(child);
}

/** The lines of an output. */
export function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** The objects of an output with one in each line. */
export function jsonOf<T = Record<string, unknown>>(text: string): T[] {
  return linesOf(text).map((line) => JSON.parse(line) as T);
}

/** What a terminal shows: without colours, and of each line what was left of it. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is removed
  const shown = text.replace(/[^\n]*\r\u001b\[2K/g, "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return shown.replace(/\u001b\[[0-9;]*[A-Za-z]|\r/g, "");
}

function defaults(args: readonly string[]): string[] {
  return args.includes("--timeout") ? [] : ["--timeout", TIMEOUT];
}

function basic(): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
