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
            "client CPU µs/session": rounded(cpu / size),
            "server CPU µs/session": rounded(serverCpu / size),
            "sessions/s": Math.round(rate * size),
            "µs/group": rounded((1e6 * width) / rate),
          };
        }
        const ratio = (field) => results["one request"][field] / results["single requests"][field];
        figures.push(told(`client CPU, ${where}: one request / single`, ratio("cpu")));
        figures.push(told(`server CPU, ${where}: one request / single`, ratio("serverCpu")));
        figures.push(told(`time, ${where}: one request / single`, 1 / ratio("rate")));
      }
    }
    await Promise.all(clients.map((client) => client.stop()));
  }
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
  const results = await medianOfRounds(clients, { rounds, operations: operations / 10, width: 1 });
  for (const [name, { cpu, serverCpu, rate }] of Object.entries(results)) {
    medians[`${OWNED} of a user among ${sessions}: ${name}`] = {
      "client CPU µs/session": rounded(cpu),
      "server CPU µs/session": rounded(serverCpu),
      "µs/group": rounded(1e6 / rate),
    };
  }
  await Promise.all(clients.map((client) => client.stop()));
  return { medians, figures };
}
