import { mkdir, readFile, writeFile } from "node:fs/promises";
import { machine, source, versionsOf } from "./machine.mjs";

const recorded = new URL("../results/", import.meta.url);
const tried = new URL("../../.cache/bench/", import.meta.url);

/** Where records and charts lie; those of a quick run are for a look only. */
export function resultsFolder({ quick }) {
  return quick ? tried : recorded;
}

/**
 * What is kept of a run of a benchmark, beside its report.
 *
 * @typedef {object} Facts
 * @property {string} benchmark
 * @property {string} command
 * @property {string} date
 * @property {Record<string, string>} machine
 * @property {{ hash: string, commit: string | undefined }} source the code that was measured
 * @property {Record<string, string>} versions
 * @property {string[]} missing what could not be measured, and the command that mends it
 * @property {Record<string, unknown>} settings
 *
 * @typedef {Facts & import("./report.mjs").Report} Result
 */

/**
 * @param {string} name of the record
 * @param {string} command with which it is measured again
 * @param {Record<string, unknown>} settings
 * @param {import("../servers/index.mjs").Servers} servers
 * @param {string[]} packages
 * @param {import("./report.mjs").Report} report
 */
export async function writeResult(name, command, settings, servers, packages, report) {
  const { quick, profile: _, ...kept } = settings;
  const folder = resultsFolder({ quick });
  const result = {
    benchmark: name,
    command,
    date: new Date().toISOString(),
    machine: machine(),
    source: source(),
    versions: { ...servers.versions, ...versionsOf(packages) },
    missing: [...servers.missing],
    settings: kept,
    ...report,
  };
  await mkdir(folder, { recursive: true });
  await writeFile(new URL(`${name}.json`, folder), `${JSON.stringify(result, null, 2)}\n`);
}

/**
 * The records of earlier runs.
 *
 * @param {{ quick: boolean }} settings
 * @param {string[]} names
 * @returns {Promise<Record<string, Result>>} without those that there are not
 */
export async function readResults({ quick }, names) {
  const folder = resultsFolder({ quick });
  const results = {};
  for (const name of names) {
    try {
      results[name] = JSON.parse(await readFile(new URL(`${name}.json`, folder), "utf8"));
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  return results;
}

/** The names of the results that were measured on other code than there is now, or of which that is not known. */
export function outdated(results) {
  const { hash } = source();
  return Object.values(results)
    .filter((result) => result.source?.hash !== hash)
    .map(({ benchmark }) => benchmark);
}
