import { defineConfig } from "vitest/config";

/** The binary that comes through npm has a fault of which the store warns, in each process. */
const quiet = "--disable-warning=NATS_SESSION_SERVER_FAULT";

export default defineConfig({
  test: {
    execArgv: [quiet],
    env: { NODE_OPTIONS: quiet },
    include: ["**/*.test.ts"],
    globalSetup: ["./support/global-setup.ts"],
    pool: "forks",
    // Most tests wait for servers and for time: two at once take little more than one.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    retry: 0,
  },
});
