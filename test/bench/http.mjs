import { startClient } from "./harness/client-process.mjs";
import { cpuSince } from "./harness/cpu.mjs";
import { pairsOf } from "./harness/pairs.mjs";
import { atLeast, atMost, rounded, told } from "./harness/report.mjs";
import { medians } from "./harness/rounds.mjs";
import { AOF, BASE, CACHED, KOA_BASE, KOA_CACHED, KOA_PLAIN, PLAIN, startVariants } from "./variants.mjs";

const BROWSERS = 2000;

/** How often each application has answered each workload before it counts. */
const WARM_UP = 3000;

/** Workloads with the number of connections: for a page burst ten of each of eight browsers. */
export const workloads = {
  read: { workload: "read", connections: 50 },
  write: { workload: "write", connections: 50 },
  "sign in and out": { workload: "sign in and out", connections: 50 },
  "page burst": { workload: "page burst", connections: 80 },
  "read, 8 connections": { workload: "read", connections: 8 },
  "write, 8 connections": { workload: "write", connections: 8 },
};

/** The aims: requests per second of a store over those of another one, in each workload. */
const AIMS = [
  ["read", PLAIN, BASE, 1.15],
  ["read", CACHED, BASE, 1.4],
  ["write", PLAIN, BASE, 1.05],
  ["write", CACHED, BASE, 1.15],
  ["sign in and out", PLAIN, BASE, 1.1],
  ["sign in and out", CACHED, BASE, 1.15],
  ["page burst", PLAIN, BASE, 1.1],
  ["page burst", CACHED, BASE, 1.35],
  ...["read", "write", "sign in and out", "page burst"].flatMap((workload) => [
    [workload, PLAIN, AOF, 1.15],
    [workload, CACHED, AOF, 1.3],
    [workload, KOA_PLAIN, KOA_BASE, 1],
    [workload, KOA_CACHED, KOA_BASE, 1.2],
  ]),
];

/** What says how much there is to gain. */
const BOUNDS = [
  ["no session", "no work for sessions at all"],
  ["MemoryStore", "no server"],
];

/**
 * Whole requests through Express and Koa, this project's stores beside others; application, load and server in
 * processes of their own on the same cores. In each round every party runs every workload once, in an order that
 * turns, and the ratio of two parties is taken round by round.
 */
export async function measure(servers, { rounds, seconds, profile }) {
  const variants = await startVariants(servers);
  const parties = [];
  for (const variant of variants) parties.push(await startParty(variant, profile));
  /** @type {Record<string, Record<string, object[]>>} workload → party → rounds */
  const results = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, settings] of Object.entries(workloads)) {
      for (let n = 0; n < parties.length; n++) {
        const party = parties[(n + round) % parties.length];
        const result = await measureParty(party, { ...settings, seconds });
        results[name] ??= {};
        results[name][party.name] ??= [];
        results[name][party.name].push(result);
      }
    }
  }
  await Promise.all(parties.flatMap(({ app, load }) => [app.stop(), load.stop()]));
  return {
    medians: tableOf(results),
    figures: figuresOf(results),
    notes: [
      ...variants.map(({ name, touch }) => `${name}: a request that only reads stores ${touch}`),
      `${rounds} rounds; ratios are medians of the ratios of each round, with their quartiles`,
    ],
  };
}

export async function startParty({ name, framework = "express", settings, pid }, profile) {
  const app = await startClient(name, {
    file: `${framework}-app.mjs`,
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
  for (const settings of Object.values(workloads)) {
    await load.call("run", { ...settings, requests: WARM_UP });
  }
  return { name, app, load, pid };
}

export async function measureParty({ app, load, pid }, settings) {
  const serverCpu = cpuSince(pid);
  const before = await app.call("cpu");
  const { requests, seconds, p50, p99 } = await load.call("run", settings);
  const cpu = (await app.call("cpu")) - before;
  return { rate: requests / seconds, cpu: cpu / requests, serverCpu: serverCpu() / requests, p50, p99 };
}

/** Each party is compared with the store of its framework that a team would otherwise install. */
function baseOf(name) {
  return name.startsWith("koa") ? KOA_BASE : BASE;
}

function tableOf(results) {
  const rows = {};
  for (const [workload, parties] of Object.entries(results)) {
    for (const [name, list] of Object.entries(parties)) {
      const { rate, cpu, serverCpu, p50, p99 } = medians(list);
      const ratio = pairsOf(list, parties[baseOf(name)] ?? [], "rate");
      rows[`${workload}: ${name}`] = {
        "requests/s": Math.round(rate),
        [`/ ${BASE}`]: ratio ? rounded(ratio.median) : "",
        spread: ratio ? `${rounded(ratio.low)} to ${rounded(ratio.high)}` : "",
        "p50 ms": rounded(p50),
        "p99 ms": rounded(p99),
        "app CPU µs": rounded(cpu),
        "server CPU µs": rounded(serverCpu),
      };
    }
  }
  return rows;
}

function figuresOf(results) {
  const ratio = (workload, field, name, other) => {
    const { [name]: list, [other]: base } = results[workload] ?? {};
    return list && base ? pairsOf(list, base, field)?.median : undefined;
  };
  const figures = AIMS.map(([workload, name, other, aim]) => {
    const value = ratio(workload, "rate", name, other);
    return value === undefined ? undefined : atLeast(aim, `HTTP ${workload}: ${name} / ${other}`, value);
  });
  for (const workload of Object.keys(workloads)) {
    for (const name of [PLAIN, CACHED]) {
      const value = ratio(workload, "p99", name, BASE);
      if (value !== undefined) figures.push(atMost(1.1, `HTTP ${workload}, p99: ${name} / ${BASE}`, value));
    }
  }
  for (const workload of Object.keys(workloads)) {
    for (const [name, what] of BOUNDS) {
      const bound = ratio(workload, "rate", name, BASE);
      if (bound !== undefined) figures.push(told(`HTTP ${workload}: ${name} / ${BASE} (${what})`, bound));
    }
  }
  return figures.filter((figure) => figure !== undefined);
}
