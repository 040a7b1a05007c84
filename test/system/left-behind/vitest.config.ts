import { defineConfig } from "vitest/config";
import { shared } from "../../vitest.config.js";

/** For `unhandled.test.ts`: as all tests run, but for the servers. */
export default defineConfig({ test: { ...shared, globalSetup: [], include: ["*.fixture.ts"] } });
