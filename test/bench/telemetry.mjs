import { operations } from "../../packages/core/dist/util/channels.js";
import { startClient } from "./harness/client-process.mjs";
import { pairsOf } from "./harness/pairs.mjs";
import { atMost, rounded, told } from "./harness/report.mjs";
import { medians } from "./harness/rounds.mjs";

const BROWSERS = 500;
const CONNECTIONS = 50;
const WORKLOADS = ["read", "write"];

/** Requests to each process before the first round, and before each measurement. */
const WARM_UP = { requests: 2000 };
const AGAIN = { requests: 200 };

/** So many processes of each party take turns: two of one party differ by some per cent, for as long as they run. */
const PROCESSES = 2;

const NOTHING = "nothing";
const LISTENERS = ["a subscriber of the channels", "metrics", "spans and metrics"];
const SDK = "the SDK alone";
const PARTIES = [NOTHING, ...LISTENERS, SDK];

/**
 * How much a request costs when something listens to the store, and what a channel costs that nobody reads. The
 * application reports its requests to OpenTelemetry in any case. In one process with listeners that come and go, Node
 * would compile the store's functions for both, which no application asks of it.
 */
export async function measure(servers, { rounds, seconds, profile }) {
  const { url } = await servers.start("nats");
  const start = async (party, n) => {
    const app = await startClient(`telemetry: ${party} ${n}`, {
      file: "telemetry-app.mjs",
      settings: { listener: party, store: { kind: "nats", url, options: { bucket: "telemetry" } } },
      env: { NODE_ENV: "production" },
      profile,
    });
    return { app, at: await app.call("url") };
  };
  const apps = {};
  for (const party of PARTIES) {
    apps[party] = [];
    for (let n = 0; n < PROCESSES; n++) apps[party].push(await start(party, n));
  }
  const all = Object.values(apps).flat();
  const load = await startClient("telemetry: load", {
    file: "http-load.mjs",
    settings: { url: all[0].at, browsers: BROWSERS },
  });
  await load.call("signIn");
  const request = ({ at }, workload, limit) =>
    load.call("run", { workload, connections: CONNECTIONS, at, ...limit });
  const run = async (one, workload) => {
    await request(one, workload, AGAIN);
    await one.app.call("collect");
    const before = await one.app.call("cpu");
    const { requests, seconds: took } = await request(one, workload, { seconds });
    return { rate: requests / took, cpu: ((await one.app.call("cpu")) - before) / requests };
  };
  const results = {};
  for (const workload of WORKLOADS) {
    results[workload] = Object.fromEntries(PARTIES.map((party) => [party, []]));
    for (const one of all) await request(one, workload, WARM_UP);
  }
  for (let round = 0; round < rounds; round++) {
    const turn = round % PARTIES.length;
    const order = [...PARTIES.slice(turn), ...PARTIES.slice(0, turn)];
    for (const workload of WORKLOADS) {
      for (const party of order) {
        results[workload][party].push(await run(apps[party][round % PROCESSES], workload));
      }
    }
  }
  await Promise.all([load.stop(), ...all.map(({ app }) => app.stop())]);
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
