import { defineConfig } from "vitest/config";
import { installing, shared } from "../vitest.config.js";

/** What takes long to install and to compile: `npm run test:packages`. */
export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: { ...shared, include: installing, maxWorkers: 2, testTimeout: 120_000, hookTimeout: 180_000 },
});
