import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";

/** What the parent tells its watchdog, one JSON line each. */
export type WatchdogMessage = { guard: number | string } | { release: number | string };

const guarded = new Set<number | string>();
let watchdog: ChildProcess | undefined;

/**
 * Has a process (by id) killed, or a directory (by path) removed, when this process ends. One watchdog process
 * serves them all: it reads a pipe that closes with this process, even by SIGKILL.
 */
export function guard(target: number | string): void {
  guarded.add(target);
  if (watchdog === undefined) {
    watchdog = startWatchdog();
    for (const each of guarded) tell({ guard: each });
  } else {
    tell({ guard: target });
  }
}

/** Ends what {@link guard} began. */
export function release(target: number | string): void {
  guarded.delete(target);
  tell({ release: target });
}

function tell(message: WatchdogMessage): void {
  watchdog?.stdin?.write(`${JSON.stringify(message)}\n`);
}

function startWatchdog(): ChildProcess {
  const { NODE_OPTIONS: _, ...env } = process.env;
  // A process group of its own: Ctrl-C must not end it before it has done its work.
  const child = spawn(process.execPath, [fileURLToPath(new URL("./watchdog-process.js", import.meta.url))], {
    detached: true,
    env,
    stdio: ["pipe", "ignore", "ignore"],
    windowsHide: true,
  });
  const gone = () => {
    if (watchdog === child) watchdog = undefined;
  };
  child.on("error", gone).on("exit", gone);
  child.stdin.on("error", gone);
  child.unref();
  (child.stdin as Socket).unref();
  return child;
}
