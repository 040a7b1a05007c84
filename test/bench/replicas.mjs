import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { startClient } from "./harness/client-process.mjs";
import { pairsOf } from "./harness/pairs.mjs";
import { atLeast, rounded, told } from "./harness/report.mjs";
import { median, medians } from "./harness/rounds.mjs";
import { measureParty, startParty } from "./http.mjs";

const [R1, R3, SYNCED] = ["R1", "R3", "R3, sync always"];

/** Three clusters would share the cores: R1 and R3 lie in one, and the one that syncs each write is another. */
const PARTIES = [
  { name: R1, cluster: "usual", replicas: 1 },
  { name: R3, cluster: "usual", replicas: 3 },
  { name: SYNCED, cluster: "synced", replicas: 3 },
];
const CONFIGS = { usual: "", synced: "jetstream { sync_interval: always }" };

const OPERATIONS = ["load", "save", "sign in"];
const WIDTH = 64;
const HTTP = ["read", "write"];

/** Issue L: what replicas cost, beside one copy in the same cluster, and how long a lost leader is missed. */
export async function measure(servers, { rounds, operations, sessions, seconds, failovers, profile }) {
  const clusters = {};
  for (const [name, config] of Object.entries(CONFIGS)) {
    clusters[name] = await servers.start("nats cluster", { config });
  }
  const parties = [];
  for (const party of PARTIES) {
    parties.push(await openParty({ ...party, cluster: clusters[party.cluster] }, { sessions, profile }));
  }
  const settings = { rounds, operations, seconds };
  const whole = await measureAll(parties, settings);
  const down = [];
  for (const cluster of Object.values(clusters)) down.push(await killFollower(cluster, parties));
  const reduced = await measureAll(parties, settings);
  await Promise.all(down.map((server) => server.restart()));
  await Promise.all(parties.flatMap(({ core, app, load }) => [core.stop(), app.stop(), load.stop()]));
  const windows = await failOver(clusters.usual, failovers);
  return {
    medians: { ...tableOf(whole, reduced), ...windowsTable(windows) },
    figures: [
      atLeast(0.9, "load, 64 in flight: R3 / R1", ratioOf(whole, "load", R3)),
      atLeast(0.5, "save, 64 in flight: R3 / R1", ratioOf(whole, "save", R3)),
      told("save, 64 in flight: R3 with `sync_interval: always` / R1", ratioOf(whole, "save", SYNCED)),
      told("a lost leader, save: s until the first is stored, median", median(windows.save)),
      told("a lost leader, save: s until the first is stored, worst", Math.max(...windows.save)),
      told("a lost leader, load: s until the first is answered, worst", Math.max(...windows.load)),
    ],
    notes: [
      "clusters of three servers on the same cores; each client is connected to the server that leads its bucket",
      "down: the same while one server of each cluster is gone, one that leads none of the buckets",
      `leader lost: the leader of a bucket of three replicas is killed ${failovers} times, while a client at another server saves and loads; s until the first answer`,
    ],
  };
}

async function openParty({ name, cluster, replicas }, { sessions, profile }) {
  const bucket = name.replace(/[^A-Z0-9a-z]+/g, "-");
  const nc = await connect({ servers: cluster.urls });
  await (await SessionStore.open(nc, { bucket, replicas, timeout: 30_000 })).close();
  const leader = await leaderOf(cluster, bucket);
  const { url } = leader;
  await nc.close();
  const core = await startClient(name, {
    file: "replicas.mjs",
    settings: { url, bucket, replicas, sessions },
    profile,
  });
  const http = { name, settings: { kind: "nats", url, options: { bucket, timeout: 30_000 } } };
  return { name, cluster, leader, core, ...(await startParty(http, false)) };
}

/** The server that leads a bucket, once all of its replicas are up to date. */
async function leaderOf({ servers }, bucket) {
  const up = servers.filter(({ running }) => running);
  const nc = await connect({ servers: up.map(({ url }) => url) });
  try {
    for (;;) {
      const reply = await nc
        .request(`$JS.API.STREAM.INFO.KV_${bucket}`, "", { timeout: 5000 })
        .catch(() => {});
      const { leader, replicas = [] } = reply?.json().cluster ?? {};
      const found = servers.findIndex((_server, n) => leader === `n${n + 1}`);
      if (found >= 0 && replicas.every(({ current, offline }) => current && !offline)) return servers[found];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    await nc.close();
  }
}

async function killFollower(cluster, parties) {
  const used = parties.filter((party) => party.cluster === cluster).map(({ leader }) => leader);
  const idle = cluster.servers.find((server) => !used.includes(server));
  await idle.kill();
  return idle;
}

/** Everything that is measured, as workload → party → rounds. */
async function measureAll(parties, { rounds, operations, seconds }) {
  const results = {};
  const note = (workload, name, result) => {
    results[workload] ??= {};
    results[workload][name] ??= [];
    results[workload][name].push(result);
  };
  for (let round = 0; round <= rounds; round++) {
    for (let n = 0; n < parties.length; n++) {
      const party = parties[(n + round) % parties.length];
      const isCounted = round > 0;
      for (const operation of OPERATIONS) {
        await party.core.call("use", operation);
        const result = await party.core.call("measure", { operations, width: WIDTH });
        if (isCounted) note(operation, party.name, result);
      }
      for (const workload of HTTP) {
        const result = await measureParty(party, { workload, connections: 50, seconds });
        if (isCounted) note(`HTTP ${workload}`, party.name, result);
      }
    }
  }
  return results;
}

/** Kills the leader again and again. @returns s until the first save was stored, and the first load answered */
async function failOver(cluster, times) {
  const bucket = "failover";
  const windows = { save: [], load: [] };
  const first = await connect({ servers: cluster.urls });
  await (await SessionStore.open(first, { bucket, replicas: 3, timeout: 30_000 })).close();
  await first.close();
  for (let n = 0; n < times; n++) {
    const leader = await leaderOf(cluster, bucket);
    const { url } = cluster.servers.find((server) => server !== leader);
    const nc = await connect({ servers: url, ignoreClusterUpdates: true });
    // As applications have it: a write without an answer is looked for after half a second.
    const store = await SessionStore.open(nc, { bucket });
    await store.save("read", { n });
    // As an application that is in use: copies answer while it has heard the leader lately.
    await store.load("read");
    await leader.kill();
    const start = performance.now();
    const untilAnswered = async (operation) => {
      for (;;) {
        try {
          await operation();
          return (performance.now() - start) / 1000;
        } catch (error) {
          if (error.code !== "ERR_SESSION_UNAVAILABLE") throw error;
        }
      }
    };
    const [save, load] = await Promise.all([
      untilAnswered(() => store.save(`written-${n}`, { n })),
      untilAnswered(() => store.load("read")),
    ]);
    windows.save.push(save);
    windows.load.push(load);
    await store.close();
    await nc.close();
    await leader.restart();
  }
  return windows;
}

function ratioOf(results, workload, name) {
  return pairsOf(results[workload][name], results[workload][R1], "rate").median;
}

function tableOf(whole, reduced) {
  const rows = {};
  for (const [workload, parties] of Object.entries(whole)) {
    for (const name of Object.keys(parties)) {
      rows[`${workload}: ${name}`] = {
        ...columnsOf(whole, workload, name, ""),
        ...columnsOf(reduced, workload, name, "down "),
      };
    }
  }
  return rows;
}

function columnsOf(results, workload, name, start) {
  const list = results[workload][name];
  const ratio = pairsOf(list, results[workload][R1], "rate");
  return {
    [`${start}op/s`]: Math.round(medians(list.map(({ rate }) => ({ rate }))).rate),
    [`${start}/ R1`]: rounded(ratio.median),
    [`${start}spread`]: `${rounded(ratio.low)} to ${rounded(ratio.high)}`,
  };
}

function windowsTable(windows) {
  return Object.fromEntries(
    Object.entries(windows).map(([operation, list]) => [
      `leader lost, ${operation}: ${R3}`,
      { "median s": rounded(median(list)), "worst s": rounded(Math.max(...list)) },
    ]),
  );
}
