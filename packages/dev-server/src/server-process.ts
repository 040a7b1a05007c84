import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { guard, release } from "./watchdog.js";

export const logLimit = 65_536;

/** One run of the binary, from its spawn to its end. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  /** How the process ended; undefined while it runs. */
  ended: string | undefined;
  /** Recent output, at most {@link logLimit} characters. */
  log = "";
  /** What it has said since the last reload was asked for. */
  #news = "";

  constructor(path: string, args: string[], env: Record<string, string> = {}) {
    // A process group of its own: on Ctrl-C the parent decides in which order things end.
    this.#child = spawn(path, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
      env: { ...process.env, ...env },
    });
    if (this.#child.pid !== undefined) guard(this.#child.pid);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.log = (this.log + text).slice(-logLimit);
        this.#news = (this.#news + text).slice(-logLimit);
      });
      (stream as Socket | null)?.unref();
    }
    this.#child.unref();
    this.#gone = new Promise((resolve) => {
      const end = (how: string) => {
        this.ended ??= how;
        if (this.#child.pid !== undefined) release(this.#child.pid);
        resolve();
      };
      this.#child.on("error", (error) => {
        if (this.#child.pid === undefined) end(`could not be started (${error.message})`);
      });
      this.#child.once("close", (code, signal) =>
        end(signal ? `was ended by ${signal}` : `ended with code ${code}`),
      );
    });
  }

  /** 0 if the process could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.ended === undefined) this.#child.kill(signal);
  }

  /** Waits for the end of the process; false if it has not come after `timeout` ms. */
  async waitForEnd(timeout: number): Promise<boolean> {
    const timer = new AbortController();
    const late = sleep(timeout, undefined, timer).catch(() => {});
    await Promise.race([this.#gone, late]);
    timer.abort();
    return this.ended !== undefined;
  }

  /** Has the server read its configuration again, and waits until it says that it has. */
  async reload(timeout: number): Promise<void> {
    const end = Date.now() + timeout;
    this.#news = "";
    this.signal("SIGHUP");
    for (;;) {
      if (/Reloaded server configuration/.test(this.#news)) return;
      if (/Failed to reload/.test(this.#news) || this.ended !== undefined || Date.now() > end) {
        throw new Error(`nats-server ${this.pid} does not take the configuration: ${this.#news}`);
      }
      await sleep(5);
    }
  }

  async stop(patience: number): Promise<void> {
    if (process.platform !== "win32") this.signal("SIGCONT");
    this.signal("SIGTERM");
    if (!(await this.waitForEnd(patience))) await this.kill();
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    if (!(await this.waitForEnd(10_000))) throw new Error(`nats-server ${this.pid} does not end on SIGKILL`);
  }

  async pause(): Promise<void> {
    this.signal("SIGSTOP");
    while (this.ended === undefined && !(await standsStill(this.pid))) await sleep(1);
  }

  resume(): void {
    this.signal("SIGCONT");
  }
}

/** A stopped process stands still when every one of its threads does, which takes a moment after the signal. */
async function standsStill(pid: number): Promise<boolean> {
  try {
    if (process.platform !== "linux") {
      const { stdout } = await promisify(execFile)("ps", ["-o", "stat=", "-p", String(pid)]);
      return stdout.startsWith("T");
    }
    for (const thread of await readdir(`/proc/${pid}/task`)) {
      const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, "utf8");
      if (!/\) [TtZX] /.test(stat)) return false;
    }
    return true;
  } catch {
    return false;
  }
}
