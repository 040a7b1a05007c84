/**
 * Measures clients in turn: A, B, C, A, B, C, … so that what changes on the machine meanwhile meets them all.
 * A round before the first lets each become warm.
 *
 * @param {import("./client-process.mjs").Client[]} clients
 * @param {{ rounds: number, operations: number, width: number }} settings
 * @returns {Promise<Record<string, { cpu: number, rate: number }>>} for each client's name its medians
 */
export async function medianOfRounds(clients, { rounds, operations, width }) {
  const results = new Map(clients.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const client of clients) {
      const result = await client.call("measure", { operations, width });
      if (round > 0) results.get(client.name).push(result);
    }
  }
  return Object.fromEntries(
    [...results].map(([name, list]) => [
      name,
      { cpu: median(list.map(({ cpu }) => cpu)), rate: median(list.map(({ rate }) => rate)) },
    ]),
  );
}

/** @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
