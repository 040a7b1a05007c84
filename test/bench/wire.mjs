import { startClient } from "./harness/client-process.mjs";
import { printProfile } from "./harness/profile.mjs";
import { atLeast, atMost, rounded, told } from "./harness/report.mjs";
import { medianOfRounds } from "./harness/rounds.mjs";

const WIDTH = 16;

/** Without the stack trace that `nc.request` takes for each request, in case it fails. */
const noTraces = { noAsyncTraces: true };

/** Issue A: what `load` and `save` cost beside the clients' own means, 16 in flight. */
export async function measure(servers, { sessions, rounds, operations, profile }) {
  const { url } = await servers.start("nats");
  const start = (name, file, settings = {}) =>
    startClient(name, {
      file: `${file}.mjs`,
      settings: { url, sessions, bucket: name.replace(/[^a-z]+/gi, "-"), ...settings },
      profile,
    });
  const groups = [];
  groups.push([
    await start("load", "store-load"),
    await start("load: nc.request", "request-load"),
    await start("load: nc.request, noAsyncTraces", "request-load", { connection: noTraces }),
    await start("load: kv.get", "kv-get"),
  ]);
  groups.push([
    await start("save", "store-save"),
    await start("save: nc.request", "request-save"),
    await start("save: nc.request, noAsyncTraces", "request-save", { connection: noTraces }),
    await start("save: js.publish", "js-publish"),
  ]);
  const results = {};
  for (const clients of groups) {
    Object.assign(results, await medianOfRounds(clients, { rounds, operations, width: WIDTH }));
  }
  const clients = groups.flat();
  await Promise.all(clients.map((client) => client.stop()));
  for (const { name, profile } of clients) if (profile) await printProfile(name, profile);

  const cpu = (name, other) => results[name].cpu / results[other].cpu;
  const rate = (name, other) => results[name].rate / results[other].rate;
  return {
    medians: Object.fromEntries(
      Object.entries(results).map(([name, { cpu, rate }]) => [
        name,
        { "CPU µs/op": rounded(cpu), "op/s": Math.round(rate) },
      ]),
    ),
    figures: [
      atMost(0.45, "CPU of load / nc.request", cpu("load", "load: nc.request")),
      told("CPU of load / nc.request, noAsyncTraces", cpu("load", "load: nc.request, noAsyncTraces")),
      atLeast(1.5, "throughput of load / kv.get", rate("load", "load: kv.get")),
      atMost(0.45, "CPU of save / nc.request", cpu("save", "save: nc.request")),
      told("CPU of save / nc.request, noAsyncTraces", cpu("save", "save: nc.request, noAsyncTraces")),
      atLeast(1.5, "throughput of save / js.publish", rate("save", "save: js.publish")),
    ],
  };
}
