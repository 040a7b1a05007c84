import { defineConfig } from "vitest/config";
import { shared } from "../vitest.config.js";

/** The whole of the fault tests: `npm run test:faults`. */
export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    ...shared,
    include: ["faults/**/*.test.ts"],
    env: { ...shared.env, SESSION_TEST_FAULTS: process.env.SESSION_TEST_FAULTS ?? "whole" },
    maxWorkers: process.env.SESSION_TEST_RECORD ? 1 : 2,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
