import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Length in µs of what Linux counts CPU time in. */
const TICK = 1e6 / Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/**
 * CPU time in µs that a process and its children have used, those that have ended too: PostgreSQL serves each
 * connection in a child. Linux only.
 *
 * @param {number} pid
 */
function cpuOf(pid) {
  return family(pid).reduce((sum, { ticks }) => sum + ticks * TICK, 0);
}

/**
 * @param {number | undefined} pid
 * @returns {() => number} how much CPU time in µs it has used since; 0 where there is no process
 */
export function cpuSince(pid) {
  if (pid === undefined) return () => 0;
  const before = cpuOf(pid);
  return () => cpuOf(pid) - before;
}

/**
 * Memory in bytes that a process and its children keep to themselves, and the share that each has of what they
 * have in common. Linux only.
 *
 * @param {number} pid
 */
export function memoryOf(pid) {
  return family(pid).reduce((sum, { pid }) => {
    const [, kB] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? [0, 0];
    return sum + Number(kB) * 1024;
  }, 0);
}

function family(pid) {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap(statOf);
  const members = all.filter((process) => process.pid === pid);
  for (const member of members) members.push(...all.filter((process) => process.parent === member.pid));
  return members;
}

function statOf(pid) {
  try {
    // The name, in brackets, may itself hold anything (proc(5)).
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
    const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number);
    return [{ pid: Number(pid), parent: Number(fields[1]), ticks: utime + stime + cutime + cstime }];
  } catch {
    return [];
  }
}
