import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A program that prints the address on which it listens. */
export interface RunningScript {
  readonly url: string;
  /** What it has printed as errors. */
  readonly errors: string;
  /** Tells it to stop. @returns its exit code */
  stop(): Promise<number | null>;
}

/** Started scripts of a test; `await using` ends those that are still running. */
export class Scripts implements AsyncDisposable {
  readonly #children: ChildProcess[] = [];

  /** Starts node, or another command, and waits for an address in its output. */
  async start(
    args: string[],
    options: { cwd: string; env?: Record<string, string>; command?: string },
  ): Promise<RunningScript> {
    const env = { ...process.env, PORT: "0", SESSION_SECRET: "kept by the test", ...options.env };
    const { cwd, command = process.execPath } = options;
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#children.push(child);
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    const url = await new Promise<string>((resolve, reject) => {
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        const address = /http:\/\/[\d.:]+/.exec(output)?.[0];
        if (address) resolve(address);
      });
      child.once("close", (code) => reject(new Error(`It ended with ${code}: ${output}${errors}`)));
    });
    return {
      url,
      get errors() {
        return errors;
      },
      async stop() {
        const closed = once(child, "close");
        child.kill("SIGTERM");
        const [code] = await closed;
        return code;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#children.filter(({ exitCode, signalCode }) => exitCode === null && !signalCode);
    await Promise.all(
      running.map((child) => {
        const closed = once(child, "close");
        child.kill("SIGKILL");
        return closed;
      }),
    );
  }
}
