import { operations } from "../../packages/core/dist/util/channels.js";
import { startClient } from "./harness/client-process.mjs";
import { pairsOf } from "./harness/pairs.mjs";
import { atMost, rounded, told } from "./harness/report.mjs";
import { medians } from "./harness/rounds.mjs";

const BROWSERS = 500;
const CONNECTIONS = 50;
const WORKLOADS = ["read", "write"];

/** Requests after each change of listener that are not measured: Node compiles anew what the channels are part of. */
const WARM_UP = 1500;

const NOTHING = "nothing";
const LISTENERS = ["a subscriber of the channels", "metrics", "spans and metrics"];
const SDK = "the SDK alone";
const PARTIES = [NOTHING, ...LISTENERS, SDK];

/**
 * How much a request costs when something listens to the store, and what a channel costs that nobody reads. The
 * application reports its requests to OpenTelemetry in any case. One process does all in turn, so that nothing else
 * differs.
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
  const run = async (party, workload) => {
    const limited = (limit) => load.call("run", { workload, connections: CONNECTIONS, ...limit });
    await app.call("listen", party);
    await limited({ requests: WARM_UP });
    await app.call("collect");
    const before = await app.call("cpu");
    const { requests, seconds: took } = await limited({ seconds });
    return { rate: requests / took, cpu: ((await app.call("cpu")) - before) / requests };
  };
  const results = {};
  for (const workload of WORKLOADS) {
    results[workload] = Object.fromEntries(PARTIES.map((party) => [party, []]));
    for (const party of PARTIES) await run(party, workload);
  }
  for (let round = 0; round < rounds; round++) {
    const turn = round % PARTIES.length;
    const order = [...PARTIES.slice(turn), ...PARTIES.slice(0, turn)];
    for (const workload of WORKLOADS) {
      for (const party of order) results[workload][party].push(await run(party, workload));
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
    const of = results[workload];
    const base = medians(of[NOTHING]);
    for (const party of PARTIES) {
      const { rate, cpu } = medians(of[party]);
      const row = { "requests/s": Math.round(rate), "app CPU µs": rounded(cpu) };
      table[`${workload}, ${party}`] = row;
      if (party === NOTHING) continue;
      const { median, low, high } = pairsOf(of[party], of[NOTHING], "cpu");
      row["more µs"] = rounded(cpu - base.cpu);
      row["CPU ratio"] = rounded(median);
      row.spread = `${rounded(low)} to ${rounded(high)}`;
      const name = `telemetry, ${workload}: CPU of a request with ${party} / with ${NOTHING}`;
      figures.push(party === SDK ? told(name, median) : atMost(1.05, name, median));
    }
    const { median } = pairsOf(of["spans and metrics"], of[SDK], "cpu");
    figures.push(
      told(`telemetry, ${workload}: CPU of a request with spans and metrics / with ${SDK}`, median),
    );
    const share = check / 1000 / base.cpu;
    figures.push(told(`telemetry, ${workload}: check for subscribers / CPU of a request`, share));
  }
  return {
    medians: table,
    figures,
    notes: [
      `${NOTHING}: the application makes a span of each request, with the SDK of OpenTelemetry, and the store's channels have no subscriber`,
      `${SDK}: the application makes the store's spans and measurements by hand, and the channels have no subscriber`,
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
