import { cpuSince } from "./cpu.mjs";

/**
 * Measures clients in turn: A, B, C, A, B, C, … so that what changes on the machine meanwhile meets them all.
 * A round before the first lets each become warm.
 *
 * @param {(import("./client-process.mjs").Client & { pid?: number })[]} clients with the process id of the server
 * that they use, if its CPU is asked for
 * @param {{ rounds: number, operations: number, width: number }} settings
 * @returns {Promise<Record<string, { cpu: number, rate: number, serverCpu: number }>>} for each client's name its
 * medians; CPU in µs per operation
 */
export async function medianOfRounds(clients, { rounds, operations, width }) {
  const results = new Map(clients.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const client of clients) {
      const serverCpu = cpuSince(client.pid);
      const result = await client.call("measure", { operations, width });
      result.serverCpu = serverCpu() / operations;
      if (round > 0) results.get(client.name).push(result);
    }
  }
  return Object.fromEntries([...results].map(([name, list]) => [name, medians(list)]));
}

/**
 * The median of each field.
 *
 * @template {Record<string, number>} T
 * @param {T[]} list objects with the same fields
 * @returns {T}
 */
export function medians(list) {
  return Object.fromEntries(
    Object.keys(list[0]).map((field) => [field, median(list.map((one) => one[field]))]),
  );
}

/** @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
