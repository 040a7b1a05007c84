// Started by watchdog.ts. Reads what to guard until the pipe closes, which means that the parent is gone.
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { WatchdogMessage } from "./watchdog.js";

const guarded = new Set<number | string>();

for await (const line of createInterface({ input: process.stdin })) {
  const message: WatchdogMessage = JSON.parse(line);
  if ("guard" in message) guarded.add(message.guard);
  else guarded.delete(message.release);
}

const pids = [...guarded].filter((target) => typeof target === "number");
const directories = [...guarded].filter((target) => typeof target === "string");

for (const pid of pids) {
  if (process.platform !== "win32") send(pid, "SIGCONT");
  send(pid, "SIGKILL");
}
for (let waited = 0; waited < 500 && pids.some((pid) => send(pid, 0)); waited += 20) await sleep(20);
for (const directory of directories) await rm(directory, { recursive: true, force: true, maxRetries: 20 });

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
