import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A second process for a step: one of `workers/`, which tells what happens there in lines of text. */
export class Worker {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #waiting: (() => void)[] = [];
  #hasEnded = false;

  /** @param name of the file in `workers/` @param args for it, the server's address first */
  constructor(name: string, ...args: string[]) {
    const path = fileURLToPath(new URL(`./workers/${name}.js`, import.meta.url));
    this.#child = fork(path, args, { execArgv: [], env: { ...process.env, NODE_OPTIONS: "" } });
    this.#child.on("message", (line: string) => {
      this.#lines.push(line);
      this.#waiting.shift()?.();
    });
    // A worker ends when this process does, but a frozen one would never notice.
    const end = () => this.#child.kill("SIGKILL");
    process.once("exit", end);
    this.#child.once("exit", () => {
      process.off("exit", end);
      this.#hasEnded = true;
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Its next line. @throws when it has ended and there is none */
  async line(): Promise<string> {
    while (this.#lines.length === 0) {
      if (this.#hasEnded) throw new Error("The worker has ended");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#lines.shift() as string;
  }

  /** Its next line that begins so; those before it are left out. */
  async lineWith(start: string): Promise<string> {
    for (;;) {
      const line = await this.line();
      if (line.startsWith(start)) return line;
    }
  }

  send(line: string): void {
    this.#child.send(line);
  }

  /** Sends it a signal, for example SIGSTOP: it freezes in the middle of what it does. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Kills it without warning, as a crash does; waits until it is gone. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}
