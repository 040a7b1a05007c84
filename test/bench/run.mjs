// `npm run bench [-- name … --quick --rounds n --operations n --sessions n --profile]`: runs the benchmarks, prints
// what came out, keeps it in results/ and renews the charts, benchmarks.md and README.md. What is tried with other
// settings than its own is only printed; a quick run is written to test/.cache/bench.
// `npm run bench -- --check`: tells which results are older than the code. `-- --readme`: renews the pages from them.
import { isDeepStrictEqual, parseArgs } from "node:util";
import { printReport } from "./harness/report.mjs";
import { outdated, readResults, writeResult } from "./harness/results.mjs";
import { areFiguresRenewed, renewFigures } from "./readme/index.mjs";
import { Servers } from "./servers/index.mjs";
import { packages } from "./stores.mjs";

/** Runs with other settings that are kept beside that with a benchmark's own: name → benchmark and settings. */
const larger = {
  "scale-10m": { benchmark: "scale", given: { sessions: 10_000_000 } },
};

/** Each benchmark's file, with the defaults of its settings and those that differ in a quick run. */
const benchmarks = {
  wire: { rounds: 9, operations: 20_000, sessions: 1000, quick: { rounds: 2, operations: 3000 } },
  list: { rounds: 5, operations: 100, sessions: 100_000, quick: { rounds: 2, sessions: 10_000 } },
  conflict: { rounds: 9, operations: 20_000, sessions: 1000, quick: { rounds: 2, operations: 3000 } },
  http: { rounds: 21, seconds: 0.5, quick: { rounds: 2 } },
  store: { rounds: 5, operations: 10_000, sessions: 1000, quick: { rounds: 1, operations: 1000 } },
  races: { quick: {} },
  scale: {
    rounds: 5,
    operations: 2000,
    sessions: 1_000_000,
    shards: 8,
    quick: { rounds: 1, operations: 200, sessions: 20_000 },
  },
  gather: {
    rounds: 5,
    operations: 20_000,
    sessions: 100_000,
    quick: { rounds: 1, operations: 2000, sessions: 5000 },
  },
  users: {
    rounds: 9,
    operations: 20_000,
    sessions: 100_000,
    quick: { rounds: 2, operations: 3000, sessions: 10_000 },
  },
  replicas: {
    rounds: 5,
    operations: 4000,
    sessions: 1000,
    seconds: 0.5,
    failovers: 20,
    quick: { rounds: 1, operations: 1000, failovers: 1 },
  },
  telemetry: { rounds: 30, seconds: 0.5, quick: { rounds: 2 } },
  flows: { quick: {} },
  garbage: { rounds: 7, operations: 2000, sessions: 500, quick: { rounds: 2 } },
};
const numbers = ["rounds", "operations", "sessions", "seconds", "shards"];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...Object.fromEntries(numbers.map((name) => [name, { type: "string" }])),
    quick: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    readme: { type: "boolean", default: false },
  },
});
const { quick, profile } = values;
const known = Object.keys(benchmarks);
const records = [...known, ...Object.keys(larger)];
const unknown = positionals.find((name) => !known.includes(name));
if (unknown !== undefined) fail(`Unknown benchmark "${unknown}". There are ${known.join(", ")}.`);
const given = Object.fromEntries(numbers.filter((name) => name in values).map((name) => [name, whole(name)]));

if (values.check) await check();
else if (values.readme) await renewFigures(await readResults({ quick }, records), { quick });
else await run(positionals.length > 0 ? positionals : known);

async function run(names) {
  const missing = new Set();
  for (const name of names) {
    const { quick: quicker, ...defaults } = benchmarks[name];
    const settings = { ...defaults, ...(quick ? quicker : {}), ...given, quick, profile };
    const { measure } = await import(`./${name}.mjs`);
    const servers = new Servers();
    try {
      const report = await measure(servers, settings);
      printReport(name, report);
      const record = recordOf(name);
      if (record !== undefined && !profile) {
        await writeResult(record, commandOf(name), settings, servers, packages, report);
        await renewFigures(await readResults({ quick }, records), { quick });
      }
      if (report.figures.some(({ reached }) => reached === false)) process.exitCode = 1;
    } finally {
      await servers.stop();
    }
    for (const what of servers.missing) missing.add(what);
  }
  if (missing.size === 0) return;
  console.log(`\nINCOMPLETE\n${[...missing].map((what) => `- ${what}`).join("\n")}`);
  process.exitCode = 1;
}

/** Where a run is kept: only with settings that another one can be compared with. */
function recordOf(name) {
  if (Object.keys(given).length === 0) return name;
  const isSame = (run) => run.benchmark === name && isDeepStrictEqual(run.given, given);
  return Object.keys(larger).find((record) => isSame(larger[record]));
}

function commandOf(name) {
  const flags = Object.entries(given).map(([setting, value]) => ` --${setting} ${value}`);
  return ["npm run bench -- ", name, ...flags, ...(quick ? [" --quick"] : [])].join("");
}

async function check() {
  const results = await readResults({ quick }, records);
  const old = outdated(results);
  const absent = known.filter((name) => !(name in results));
  const problems = [];
  if (old.length > 0) problems.push(`Measured on other code than there is now: ${old.join(", ")}.`);
  if (absent.length > 0) problems.push(`Never measured: ${absent.join(", ")}.`);
  if (problems.length > 0)
    problems.push(
      ...[...old, ...absent].map(
        (name) => `\`${results[name]?.command ?? `npm run bench -- ${name}`}\` renews ${name}.`,
      ),
    );
  if (!(await areFiguresRenewed(results, { quick }))) {
    problems.push(
      "benchmarks.md, README.md or a chart does not show the results: `npm run bench -- --readme` renews them.",
    );
  }
  console.log(
    problems.join("\n") ||
      "benchmarks.md shows the results, and they were measured on the code that there is.",
  );
  if (problems.length > 0) process.exitCode = 1;
}

function whole(name) {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  fail(`Expected --${name} to be a whole number above 0, got ${values[name]}`);
}

function fail(why) {
  console.error(why);
  process.exit(2);
}
