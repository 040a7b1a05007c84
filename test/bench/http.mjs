import { startClient } from "./harness/client-process.mjs";
import { cpuSince } from "./harness/cpu.mjs";
import { atLeast, atMost, rounded } from "./harness/report.mjs";
import { medians } from "./harness/rounds.mjs";
import { BASE, CACHED, PLAIN, POSTGRES, startVariants } from "./variants.mjs";

const BROWSERS = 2000;

/** How long each application becomes warm with each workload, in seconds. */
const WARM_UP = 1;

/** Workloads with the number of connections: for a page burst ten of each of eight browsers. */
export const workloads = { read: 50, write: 50, "sign in and out": 50, "page burst": 80 };

/** Issue D: whole requests through Express, this store beside the others; application, load and server apart. */
export async function measure(servers, { rounds, seconds, profile }) {
  const variants = await startVariants(servers);
  const parties = [];
  for (const variant of variants) parties.push(await startParty(variant, profile));
  const rows = {};
  for (const [workload, connections] of Object.entries(workloads)) {
    const results = new Map(parties.map(({ name }) => [name, []]));
    for (let round = 0; round <= rounds; round++) {
      for (const party of parties) {
        const result = await measureParty(party, { workload, connections, seconds });
        if (round > 0) results.get(party.name).push(result);
      }
    }
    for (const [name, list] of results) rows[`${workload}: ${name}`] = medians(list);
  }
  await Promise.all(parties.flatMap(({ app, load }) => [app.stop(), load.stop()]));
  return {
    medians: tableOf(rows),
    figures: figuresOf(rows),
    notes: variants.map(({ name, touch }) => `${name}: a request that only reads stores ${touch}`),
  };
}

async function startParty({ name, settings, pid }, profile) {
  const app = await startClient(name, {
    file: "http-app.mjs",
    settings: { store: settings },
    env: { NODE_ENV: "production" },
    profile,
  });
  const url = await app.call("url");
  const load = await startClient(`${name}: load`, {
    file: "http-load.mjs",
    settings: { url, browsers: BROWSERS },
  });
  await load.call("signIn");
  for (const [workload, connections] of Object.entries(workloads)) {
    await load.call("run", { workload, connections, seconds: WARM_UP });
  }
  return { name, app, load, pid };
}

async function measureParty({ app, load, pid }, settings) {
  await app.call("collect");
  const serverCpu = cpuSince(pid);
  const before = await app.call("cpu");
  const { requests, seconds, p50, p99 } = await load.call("run", settings);
  const cpu = (await app.call("cpu")) - before;
  return { rate: requests / seconds, cpu: cpu / requests, serverCpu: serverCpu() / requests, p50, p99 };
}

function tableOf(rows) {
  return Object.fromEntries(
    Object.entries(rows).map(([name, { rate, cpu, serverCpu, p50, p99 }]) => {
      const base = rows[`${name.split(":")[0]}: ${BASE}`];
      return [
        name,
        {
          "requests/s": Math.round(rate),
          [`/ ${BASE}`]: base ? rounded(rate / base.rate) : "",
          "p50 ms": rounded(p50),
          "p99 ms": rounded(p99),
          "app CPU µs": rounded(cpu),
          "server CPU µs": rounded(serverCpu),
        },
      ];
    }),
  );
}

/** What the issue promises, as far as both sides of a ratio were measured. */
function figuresOf(rows) {
  const ratio = (workload, field, name, other) => {
    const [value, base] = [rows[`${workload}: ${name}`], rows[`${workload}: ${other}`]];
    return value && base ? value[field] / base[field] : undefined;
  };
  const promised = [
    [atLeast, 1.2, "HTTP read, cache on: requests/s", ratio("read", "rate", CACHED, BASE), BASE],
    [
      atMost,
      1.05,
      "HTTP read, cache on: app CPU",
      ratio("read", "cpu", CACHED, "MemoryStore"),
      "MemoryStore",
    ],
    [atLeast, 0.95, "HTTP read, no cache: requests/s", ratio("read", "rate", PLAIN, BASE), BASE],
    [atLeast, 0.9, "HTTP write: requests/s", ratio("write", "rate", PLAIN, BASE), BASE],
    [atLeast, 1.5, "HTTP write: requests/s", ratio("write", "rate", PLAIN, POSTGRES), POSTGRES],
    [atLeast, 1.3, "HTTP page burst, cache on: requests/s", ratio("page burst", "rate", CACHED, BASE), BASE],
  ];
  return promised
    .filter(([, , , value]) => value !== undefined)
    .map(([compare, limit, name, value, other]) => compare(limit, `${name} / ${other}`, value));
}
