import { startClient } from "./harness/client-process.mjs";

/**
 * Lets clients change one session at the same time, each its own key.
 *
 * @param {string} url
 * @param {{ processes: number, clients: number, increments: number }} settings the clients are spread over the
 * processes
 */
export async function measureIncrements(url, { processes, clients, increments }) {
  const each = clients / processes;
  const started = await Promise.all(
    Array.from({ length: processes }, (_, index) =>
      startClient(`increments ${index}`, {
        file: "increments.mjs",
        settings: { url, bucket: `increments-${processes}`, first: index * each, clients: each },
      }),
    ),
  );
  await started[0].call("begin", clients);
  const start = performance.now();
  const results = await Promise.all(started.map((client) => client.call("run", increments)));
  const seconds = (performance.now() - start) / 1000;
  const present = await started[0].call("present");
  await Promise.all(started.map((client) => client.stop()));

  const failures = {};
  for (const result of results) {
    for (const [why, times] of Object.entries(result.failures)) failures[why] = (failures[why] ?? 0) + times;
  }
  const conflicts = results.reduce((sum, result) => sum + result.conflicts, 0);
  return { seconds, present, conflictsPerSave: conflicts / (clients * increments), failures };
}
