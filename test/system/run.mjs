// `npm run test:system` and `npm run test:soak`. With `--record` the figures are kept in `results/`; `--soak=600`
// is how many seconds of mixed load. Everything else goes to vitest.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const env = { ...process.env };
const args = process.argv.slice(2).filter((arg) => {
  if (arg === "--record") env.SESSION_TEST_RECORD = "1";
  else if (arg.startsWith("--soak=")) env.SESSION_TEST_SOAK = arg.slice("--soak=".length);
  else return true;
  return false;
});
const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
const config = fileURLToPath(new URL("vitest.config.ts", import.meta.url));
const { status } = spawnSync(process.execPath, [vitest, "run", "--config", config, ...args], {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  env,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
