import { operations } from "../../packages/core/dist/util/channels.js";
import { startClient } from "./harness/client-process.mjs";
import { pairsOf } from "./harness/pairs.mjs";
import { atMost, rounded, told } from "./harness/report.mjs";
import { medians } from "./harness/rounds.mjs";

const BROWSERS = 500;
const WARM_UP = 3000;
const CONNECTIONS = 50;
const WORKLOADS = ["read", "write"];
const WITHOUT = "OpenTelemetry in the application alone";
const WITH = "and in the store";

/**
 * How much a request costs when the store reports to OpenTelemetry, too, and what a channel costs that nobody reads.
 * One process does both in turn, so that nothing else differs.
 */
export async function measure(servers, { rounds, seconds, profile }) {
  const { url } = await servers.start("nats");
  const app = await startClient("telemetry", {
    file: "telemetry-app.mjs",
    settings: { store: { kind: "nats", url, options: { bucket: "telemetry" } } },
    env: { NODE_ENV: "production" },
    profile,
  });
  const load = await startClient("telemetry: load", {
    file: "http-load.mjs",
    settings: { url: await app.call("url"), browsers: BROWSERS },
  });
  await load.call("signIn");
  const run = async (workload, isOn, limit) => {
    await app.call("report", isOn);
    const before = await app.call("cpu");
    const { requests, seconds: took } = await load.call("run", {
      workload,
      connections: CONNECTIONS,
      ...limit,
    });
    return { rate: requests / took, cpu: ((await app.call("cpu")) - before) / requests };
  };
  const results = Object.fromEntries(WORKLOADS.map((workload) => [workload, { [WITHOUT]: [], [WITH]: [] }]));
  for (const workload of WORKLOADS) {
    for (const isOn of [true, false]) await run(workload, isOn, { requests: WARM_UP });
  }
  for (let round = 0; round < rounds; round++) {
    for (const workload of WORKLOADS) {
      const order = round % 2 === 0 ? [false, true] : [true, false];
      for (const isOn of order) {
        results[workload][isOn ? WITH : WITHOUT].push(await run(workload, isOn, { seconds }));
      }
    }
  }
  await Promise.all([app.stop(), load.stop()]);
  return reportOf(results, rounds);
}

function reportOf(results, rounds) {
  const table = {};
  const figures = [];
  const check = costOfCheck();
  for (const workload of WORKLOADS) {
    const { [WITHOUT]: base, [WITH]: list } = results[workload];
    for (const [name, party] of Object.entries(results[workload])) {
      const { rate, cpu } = medians(party);
      table[`${workload}: ${name}`] = { "requests/s": Math.round(rate), "app CPU µs": rounded(cpu) };
    }
    const { median, low, high } = pairsOf(list, base, "cpu");
    Object.assign(table[`${workload}: ${WITH}`], {
      "CPU ratio": rounded(median),
      spread: `${rounded(low)} to ${rounded(high)}`,
    });
    figures.push(atMost(1.05, `telemetry, ${workload}: CPU of a request ${WITH} / ${WITHOUT}`, median));
    const share = check / 1000 / medians(base).cpu;
    figures.push(told(`telemetry, ${workload}: check for subscribers / CPU of a request`, share));
  }
  return {
    medians: table,
    figures,
    notes: [
      `asking a tracing channel whether anybody subscribes takes ${rounded(check)} ns`,
      `${rounds} rounds; ratios are medians of the ratios of each round, with their quartiles`,
    ],
  };
}

/** What each operation costs more where nothing subscribes, in ns. */
function costOfCheck() {
  const times = 5_000_000;
  let subscribed = 0;
  const start = performance.now();
  for (let n = 0; n < times; n++) if (operations.hasSubscribers) subscribed++;
  if (subscribed > 0) throw new Error("Something subscribes");
  return ((performance.now() - start) * 1e6) / times;
}
