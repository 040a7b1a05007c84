import { startClient } from "./harness/client-process.mjs";
import { printProfile } from "./harness/profile.mjs";
import { atLeast, atMost, rounded, told } from "./harness/report.mjs";
import { medianOfRounds } from "./harness/rounds.mjs";
import { measureIncrements } from "./increments.mjs";

const WIDTH = 16;
const CLIENTS = 32;
const INCREMENTS = 100;

/** Over how many processes the clients are spread, each time with its own session. */
const SPREAD = [1, 4, CLIENTS];

/** Issue B: what the check of the revision costs without a conflict, and that no change is lost with many. */
export async function measure(servers, { sessions, rounds, operations, profile }) {
  const { url } = await servers.start("nats");
  const start = (name, file, settings = {}) =>
    startClient(name, {
      file: `${file}.mjs`,
      settings: { url, sessions, bucket: name.replace(/[^a-z]+/gi, "-"), ...settings },
      profile,
    });
  const clients = [
    await start("save", "store-save"),
    await start("unchecked write", "unchecked-write"),
    await start("bare publish, checked", "bare-publish", { checked: true }),
    await start("bare publish, unchecked", "bare-publish", { checked: false }),
  ];
  const results = await medianOfRounds(clients, { rounds, operations, width: WIDTH });
  await Promise.all(clients.map((client) => client.stop()));
  for (const { name, profile } of clients) if (profile) await printProfile(name, profile);

  const medians = Object.fromEntries(
    Object.entries(results).map(([name, { cpu, rate }]) => [
      name,
      { "CPU µs/op": rounded(cpu), "op/s": Math.round(rate) },
    ]),
  );
  const present = [];
  for (const processes of SPREAD) {
    const run = await measureIncrements(url, { processes, clients: CLIENTS, increments: INCREMENTS });
    const where = processes === 1 ? "in one process" : `in ${processes} processes`;
    medians[`${CLIENTS} clients ${where}, ${INCREMENTS} increments each`] = {
      s: rounded(run.seconds),
      "conflicts/save": rounded(run.conflictsPerSave),
      failed: Object.entries(run.failures).flat().join(" ") || 0,
    };
    const title = `increments of ${CLIENTS} clients ${where}`;
    // One process for each client keeps a small machine so busy that deadlines pass: that is only told.
    const isTold = processes === CLIENTS;
    present.push(isTold ? told(title, run.present) : atLeast(CLIENTS * INCREMENTS, title, run.present));
  }
  const cpu = (name, other) => results[name].cpu / results[other].cpu;
  const time = (name, other) => results[other].rate / results[name].rate;
  return {
    medians,
    figures: [
      atMost(1.1, "CPU of save / unchecked write", cpu("save", "unchecked write")),
      atMost(1.1, "time of save / unchecked write", time("save", "unchecked write")),
      told(
        "CPU of bare publish, checked / unchecked",
        cpu("bare publish, checked", "bare publish, unchecked"),
      ),
      told(
        "time of bare publish, checked / unchecked",
        time("bare publish, checked", "bare publish, unchecked"),
      ),
      ...present,
    ],
  };
}
