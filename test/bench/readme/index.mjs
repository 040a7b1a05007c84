import { mkdir, readFile, writeFile } from "node:fs/promises";
import { resultsFolder } from "../harness/results.mjs";
import { BASE } from "../variants.mjs";
import { chartsOf, groupsOf } from "./charts.mjs";
import { figuresTable, httpTable, wholeTable } from "./tables.mjs";

const root = new URL("../../../", import.meta.url);
const readme = new URL("README.md", root);
const page = new URL("packages/core/docs/benchmarks.md", root);
const between = /(?<=<!-- bench:start[^>]*-->\n).*?(?=<!-- bench:end -->)/s;

/**
 * Draws the charts, writes all tables into the folder of the results, and renews the figures of
 * benchmarks.md and the chart of README.md between their marks. Those of a quick run are for a look only: they are written beside them.
 *
 * @param {Record<string, import("../harness/results.mjs").Result>} results
 * @param {{ quick: boolean }} settings
 */
export async function renewFigures(results, settings) {
  await mkdir(resultsFolder(settings), { recursive: true });
  for (const { file, content } of await filesOf(results, settings)) await writeFile(file, content);
}

/** Whether all files are as `renewFigures` would write them. */
export async function areFiguresRenewed(results, settings) {
  for (const { file, content } of await filesOf(results, settings)) {
    if ((await readFile(file, "utf8").catch(() => undefined)) !== content) return false;
  }
  return true;
}

async function filesOf(results, { quick }) {
  const folder = resultsFolder({ quick });
  const charts = chartsOf(results);
  const names = Object.keys(charts);
  return [
    ...names.map((name) => ({ file: new URL(name, folder), content: charts[name] })),
    { file: new URL("README.md", folder), content: allTables(results, names) },
    ...(quick
      ? [{ file: new URL("figures.md", folder), content: figuresOf(results, ".") }]
      : [
          { file: page, content: await renewed(page, figuresOf(results, "../../../test/bench/results")) },
          { file: readme, content: await renewed(readme, summaryOf(results)) },
        ]),
  ];
}

async function renewed(file, figures) {
  const text = await readFile(file, "utf8");
  if (!between.test(text)) throw new Error(`${file} has no marks \`bench:start\` and \`bench:end\``);
  return text.replace(between, () => `\n${figures}\n\n`);
}

/** One chart, and one sentence about it. */
function summaryOf({ http }) {
  if (!http) return "Nothing has been measured yet.";
  const ratio = (workload, name) => `${http.medians[`${workload}: ${name}`]?.[`/ ${BASE}`]} ×`;
  const pair = (name) => `${ratio("read", name)} as many reads and ${ratio("write", name)} as many writes`;
  return [
    "![Requests per second](test/bench/results/http.svg)",
    `Over HTTP, connect-nats answers ${pair("connect-nats")} as ${BASE}, with the cache ${pair("connect-nats, cache")}: [all figures](packages/core/docs/benchmarks.md).`,
  ].join("\n\n");
}

/** @param {string} folder of the results, seen from the page */
function figuresOf(results, folder) {
  const { http, races, flows, scale, replicas } = results;
  const parts = [`${measuredOn(Object.values(results))} [All tables](${folder}/README.md).`];
  if (http) parts.push(`![Requests per second](${folder}/http.svg)`, httpTable(groupsOf(http.medians)));
  const promised = Object.values(results).flatMap(({ figures }) => figures.filter(({ target }) => target));
  // The run with more sessions repeats figures of the usual one.
  const once = promised.filter(({ name }, n) => promised.findIndex((other) => other.name === name) === n);
  if (once.length > 0) parts.push(figuresTable(once));
  if (races)
    parts.push(
      "What goes wrong when requests of one browser overlap, and two things beside:",
      wholeTable(races),
    );
  if (flows) {
    parts.push(
      "How many messages what a browser does makes a store send (a process asks about its bucket twice a second at most beside that):",
      ...byFramework(flows).map(wholeTable),
    );
  }
  if (replicas) parts.push(`![What replicas cost](${folder}/replicas.svg)`);
  if (scale) parts.push(`![Live sessions on one node](${folder}/scale.svg)`);
  return parts.join("\n\n");
}

/** A table for each framework, which have other stores. */
function byFramework({ medians }) {
  const rows = Object.entries(medians);
  const isKoa = ([name]) => name.startsWith("Koa: ");
  return [rows.filter((row) => !isKoa(row)), rows.filter(isKoa)].map((part) => ({
    medians: Object.fromEntries(part),
  }));
}

/** Where and when, and with what: no figure stands without it. */
function measuredOn(results) {
  if (results.length === 0) return "Nothing has been measured yet.";
  const { machine } = results.at(-1);
  const days = [...new Set(results.map(({ date }) => date.slice(0, 10)))].sort();
  const commits = [...new Set(results.map(({ source }) => source?.commit ?? "unknown"))];
  const versions = Object.entries(Object.assign({}, ...results.map(({ versions }) => versions)));
  const missing = [...new Set(results.flatMap(({ missing = [] }) => missing))];
  return [
    `\`npm run bench\`, ${days.join(" to ")}, code of ${commits.join(", ")}; ${machine.cpu}, ${machine.memory}, Node ${machine.node},`,
    `${versions.map(([name, version]) => `${name} ${version}`).join(", ")}.`,
    "Medians of interleaved rounds in one run; application, load and server in processes of their own on the same cores.",
    ...(missing.length > 0 ? [`Incomplete: ${missing.join("; ")}.`] : []),
  ].join(" ");
}

function allTables(results, charts) {
  const parts = ["# Results", "Written by `npm run bench`; CONTRIBUTING.md tells how."];
  for (const [name, result] of Object.entries(results)) {
    const { date, command, source, machine, versions, settings, notes = [], missing = [], figures } = result;
    const facts = {
      command: `\`${command}\``,
      date: date.slice(0, 16).replace("T", " "),
      "code of": source?.commit ?? "unknown",
      machine: Object.values(machine).join(", "),
      versions: listOf(versions),
      settings: listOf(settings),
    };
    parts.push(
      `## ${name}`,
      Object.entries(facts)
        .map(([title, text]) => `- ${title}: ${text}`)
        .join("\n"),
      ...(charts.includes(`${name}.svg`) ? [`![${name}](${name}.svg)`] : []),
      wholeTable(result),
      ...(figures.length > 0 ? [figuresTable(figures)] : []),
      ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join("\n")] : []),
      ...(missing.length > 0 ? [missing.map((what) => `- missing: ${what}`).join("\n")] : []),
    );
  }
  return `${parts.join("\n\n")}\n`;
}

function listOf(values) {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}
