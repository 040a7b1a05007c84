import { startClient } from "./harness/client-process.mjs";
import { rounded, told } from "./harness/report.mjs";
import { medianOfRounds } from "./harness/rounds.mjs";

const FEW = 1000;
const GROUPS = [2, 8, 16, 32, 64];
const OWNED = 20;

/** Whether one request for many sessions is cheaper than one for each, and what asking for a user's sessions costs. */
export async function measure(servers, { sessions, rounds, operations }) {
  const { url, pid } = await servers.start("nats");
  const medians = {};
  const figures = [];
  for (const count of [FEW, sessions]) {
    const bucket = `gather-${count}`;
    const filler = await startClient("filler", {
      file: "listing.mjs",
      settings: { url, bucket, sessions: count },
    });
    await filler.call("fill");
    await filler.stop();
    const start = async (gathered) => {
      const name = gathered ? "one request" : "single requests";
      const settings = { url, bucket, sessions: count, gathered };
      return { ...(await startClient(name, { file: "gather.mjs", settings })), pid };
    };
    const clients = [await start(false), await start(true)];
    for (const size of GROUPS) {
      for (const width of [1, 4]) {
        for (const client of clients) await client.call("group", size);
        const operationsEach = Math.ceil((count === FEW ? operations : operations / 10) / size);
        const settings = { rounds, operations: operationsEach, width };
        const results = await medianOfRounds(clients, settings);
        const where = `${size} of ${count}, ${width} at a time`;
        for (const [name, { cpu, serverCpu, rate }] of Object.entries(results)) {
          medians[`${where}: ${name}`] = {
            "client CPU µs": rounded(cpu),
            "server CPU µs": rounded(serverCpu),
            µs: rounded((1e6 * width) / rate),
            "sessions/s": Math.round(rate * size),
          };
        }
        if (width === 1) {
          const time = results["single requests"].rate / results["one request"].rate;
          figures.push(told(`time for ${size} of ${count} sessions: one request / single requests`, time));
        }
      }
    }
    await Promise.all(clients.map((client) => client.stop()));
  }
  await measureOwners({ url, pid }, { sessions, rounds, operations: operations / 10 }, medians);
  return { medians, figures };
}

/** What it takes to find the few sessions of one user among many in an index of subjects, beside one load. */
async function measureOwners({ url, pid }, { sessions, rounds, operations }, medians) {
  const settings = { url, bucket: "owners", sessions, owned: OWNED };
  const names = {
    load: "load",
    info: "STREAM.INFO with subjects_filter",
    multi: "multi_last with a wildcard",
  };
  const clients = [];
  for (const [how, name] of Object.entries(names)) {
    const client = await startClient(name, { file: "owner-index.mjs", settings: { ...settings, how } });
    clients.push({ ...client, pid });
  }
  await clients[0].call("fill");
  const results = await medianOfRounds(clients, { rounds, operations, width: 1 });
  await Promise.all(clients.map((client) => client.stop()));
  for (const [name, { cpu, serverCpu, rate }] of Object.entries(results)) {
    medians[`${OWNED} of a user among ${sessions}: ${name}`] = {
      "client CPU µs": rounded(cpu),
      "server CPU µs": rounded(serverCpu),
      µs: rounded(1e6 / rate),
    };
  }
}
