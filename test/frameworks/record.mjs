// `npm run test:frameworks`: runs the applications of all frameworks, and writes what passed into the tables of the
// README and of docs/frameworks.md.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const cwd = fileURLToPath(new URL("../", import.meta.url));
const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
const env = { ...process.env, SESSION_TEST_RECORD: "1" };
const args = [vitest, "run", "--config", "package/vitest.config.ts", "frameworks"];
const { status } = spawnSync(process.execPath, args, { cwd, env, stdio: "inherit" });
process.exitCode = status ?? 1;
