import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { sep } from "node:path";

/**
 * A number that the project has promised, or one that is only told.
 *
 * @typedef {object} Figure
 * @property {string} name
 * @property {number} value
 * @property {string} [target] for example `≤ 0.45`
 * @property {boolean} [reached]
 *
 * @typedef {object} Report
 * @property {Record<string, Record<string, string | number>>} medians the rows of the table: name → column → value
 * @property {Figure[]} figures
 */

const results = new URL("../results/", import.meta.url);
const require = createRequire(import.meta.url);

/** @returns {Figure} */
export function atMost(limit, name, value) {
  return { name, value: rounded(value), target: `≤ ${limit}`, reached: value <= limit };
}

/** @returns {Figure} */
export function atLeast(limit, name, value) {
  return { name, value: rounded(value), target: `≥ ${limit}`, reached: value >= limit };
}

/** @returns {Figure} */
export function told(name, value) {
  return { name, value: rounded(value) };
}

/** Three digits that count. */
export function rounded(value) {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/**
 * @param {string} name
 * @param {Report} report
 */
export function printReport(name, { medians, figures }) {
  console.log(`\n${name}, medians`);
  const columns = [...new Set(Object.values(medians).flatMap(Object.keys))];
  table([
    ["", ...columns],
    ...Object.entries(medians).map(([row, cells]) => [row, ...columns.map((column) => cells[column] ?? "")]),
  ]);
  console.log("");
  table(
    figures.map(({ name, value, target = "", reached }) => [
      name,
      value,
      target,
      reached === undefined ? "" : reached ? "reached" : "MISSED",
    ]),
  );
}

/**
 * @param {string} name
 * @param {Record<string, unknown>} settings
 * @param {{ version: string }} server
 * @param {Report} report
 */
export async function writeRecord(name, { rounds, operations, sessions }, server, { medians, figures }) {
  const [{ model = "unknown" } = {}, ...others] = cpus();
  const record = {
    benchmark: name,
    command: `npm run bench -- ${name}`,
    date: new Date().toISOString(),
    node: process.version,
    natsServer: server.version,
    client: `@nats-io/transport-node ${versionOf("@nats-io/transport-node")}`,
    cpu: `${others.length + 1} × ${model.trim()}`,
    settings: { rounds, operations, sessions },
    medians,
    figures,
  };
  await mkdir(results, { recursive: true });
  await writeFile(new URL(`${name}.json`, results), `${JSON.stringify(record, null, 2)}\n`);
}

function versionOf(name) {
  const folder = require.resolve(name).split(name.replace("/", sep), 1)[0];
  return require(`${folder}${name}/package.json`).version;
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      typeof cell === "number" || column > 0
        ? String(cell).padStart(widths[column])
        : String(cell).padEnd(widths[column]),
    );
    console.log(cells.join("  ").trimEnd());
  }
}
