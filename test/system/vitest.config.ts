import { defineConfig } from "vitest/config";
import { shared } from "../vitest.config.js";

/** Faults and clusters in full length, and the soak: `npm run test:system`. */
export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    ...shared,
    include: ["system/{faults,cluster}/*.test.ts", "system/soak.test.ts", "core/nats/left-behind.test.ts"],
    env: { ...shared.env, SESSION_TEST_FAULTS: process.env.SESSION_TEST_FAULTS ?? "whole" },
    maxWorkers: process.env.SESSION_TEST_RECORD ? 1 : 2,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
