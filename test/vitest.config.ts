import { configDefaults, defineConfig } from "vitest/config";
import type { InlineConfig } from "vitest/node";
import { LongestFirst } from "./support/longest-first.js";

/** The binary that comes through npm has a fault of which the store warns, in each process. */
const quiet = "--disable-warning=NATS_SESSION_SERVER_FAULT";

export const shared: InlineConfig = {
  globalSetup: ["./support/global-setup.ts"],
  pool: "forks",
  execArgv: [quiet],
  env: { NODE_OPTIONS: quiet },
  retry: 0,
  // What is built is loaded as an application loads it, not module by module through vite.
  server: { deps: { external: [/\/(packages|examples)\/.*\/dist\//] } },
};

/** They install the packed packages, compile, and run what other frameworks need: `npm run test:packages`. */
export const installing = [
  "package/compiling.test.ts",
  "package/engines.test.ts",
  "frameworks/frameworks.test.ts",
];

export default defineConfig({
  test: {
    ...shared,
    include: ["**/*.test.ts"],
    // Most tests wait for servers and for time, also where there are few processors.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // They take minutes: `npm run test:system` runs them, and longer forms of the other fault tests.
    exclude: [
      ...configDefaults.exclude,
      ...installing,
      "system/faults/applications.test.ts",
      "system/cluster/faults.test.ts",
      "system/soak.test.ts",
    ],
    // For a hang: a machine that is busy with other things takes many times what they need.
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
