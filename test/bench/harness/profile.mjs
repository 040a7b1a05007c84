import { readFile } from "node:fs/promises";

const MOST = 25;

/**
 * Prints where the time of a CPU profile went: the functions with the most time of their own, and the packages.
 * Waiting is left out.
 *
 * @param {string} name
 * @param {string} file written by Node's --cpu-prof
 */
export async function printProfile(name, file) {
  const { nodes, samples, timeDeltas } = JSON.parse(await readFile(file, "utf8"));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const functions = new Map();
  const packages = new Map();
  let total = 0;
  for (const [i, id] of samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(id);
    if (functionName === "(idle)") continue;
    const time = timeDeltas[i];
    total += time;
    const place = url === "" ? "" : ` ${url.split("/").slice(-2).join("/")}:${lineNumber + 1}`;
    add(functions, `${functionName || "(anonymous)"}${place}`, time);
    add(packages, url === "" ? (functionName.match(/^\(.+\)$/)?.[0] ?? "(native)") : packageOf(url), time);
  }
  console.log(`\nprofile of ${name}: ${file}`);
  for (const [title, times] of Object.entries({ packages, functions })) {
    console.log(`  by ${title}`);
    const largest = [...times].sort(([, a], [, b]) => b - a).slice(0, MOST);
    for (const [key, time] of largest)
      console.log(`  ${((100 * time) / total).toFixed(1).padStart(6)} %  ${key}`);
  }
}

function packageOf(url) {
  if (url.startsWith("node:")) return "node";
  return (
    url.match(/.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ??
    url.match(/\/((?:packages|test)\/[^/]+)\//)?.[1] ??
    url
  );
}

function add(times, key, time) {
  times.set(key, (times.get(key) ?? 0) + time);
}
