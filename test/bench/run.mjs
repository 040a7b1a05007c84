// `npm run bench [-- name … --rounds n --operations n --sessions n --profile]`: runs the benchmarks, each against
// a server of its own, prints what came out and keeps it in results/<name>.json.
import { parseArgs } from "node:util";
import { startNatsServer } from "nats-dev-server";
import { printReport, writeRecord } from "./harness/report.mjs";

/** Each benchmark's file, with the defaults of its settings. */
const benchmarks = {
  wire: { rounds: 9, operations: 20_000, sessions: 1000 },
  list: { rounds: 5, operations: 100, sessions: 100_000 },
  conflict: { rounds: 9, operations: 20_000, sessions: 1000 },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string" },
    operations: { type: "string" },
    sessions: { type: "string" },
    profile: { type: "boolean", default: false },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks);
const unknown = names.find((name) => !Object.hasOwn(benchmarks, name));
if (unknown !== undefined) {
  console.error(`Unknown benchmark "${unknown}". There are ${Object.keys(benchmarks).join(", ")}.`);
  process.exit(2);
}

const given = Object.fromEntries(
  ["rounds", "operations", "sessions"].flatMap((name) => (name in values ? [[name, whole(name)]] : [])),
);
for (const name of names) {
  const settings = { ...benchmarks[name], ...given, profile: values.profile };
  const { measure } = await import(`./${name}.mjs`);
  const server = await startNatsServer();
  try {
    const report = await measure(server.url, settings);
    printReport(name, report);
    // Only a full run is worth keeping; a shorter or a profiled one says little.
    if (Object.keys(given).length === 0 && !values.profile) await writeRecord(name, settings, server, report);
    if (report.figures.some(({ reached }) => reached === false)) process.exitCode = 1;
  } finally {
    await server.stop();
  }
}

function whole(name) {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  console.error(`Expected --${name} to be a whole number above 0, got ${values[name]}`);
  process.exit(2);
}
