import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const tests = fileURLToPath(new URL("../..", import.meta.url));
const vitest = join(tests, "node_modules", "vitest", "vitest.mjs");

/** What vitest is told. The soak says nothing about versions. */
const SUITES = {
  conformance: ["conformance/"],
  faults: ["--config", "system/vitest.config.ts", "--exclude", "system/soak.test.ts"],
};

/** Runs a suite on one server with one Node; how many tests passed and failed. */
export async function runSuite(name, server, node) {
  const folder = await mkdtemp(join(tmpdir(), "matrix-"));
  const file = join(folder, "results.json");
  const env = {
    ...process.env,
    NATS_SERVER_BIN: server.path,
    SESSION_TEST_OLD_SERVER: "none",
    SESSION_TEST_FAULTS: "short",
  };
  console.log(`== ${name} on nats-server ${server.name} with Node ${node.version}`);
  const args = [vitest, "run", ...SUITES[name], "--silent", "--reporter=dot", "--reporter=json"];
  try {
    const child = spawn(node.path, [...args, `--outputFile.json=${file}`], {
      cwd: tests,
      env,
      stdio: ["ignore", "inherit", "inherit"],
    });
    const [code] = await once(child, "close");
    return countsOf(JSON.parse(await readFile(file, "utf8")), code);
  } catch (error) {
    console.error(`${name} gave no results: ${error.message}`);
    return { passed: 0, failed: 1 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function countsOf({ numPassedTests, numFailedTests }, code) {
  return { passed: numPassedTests, failed: numFailedTests || (code === 0 ? 0 : 1) };
}
