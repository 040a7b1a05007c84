import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";
import { runNode } from "../support/run-program.js";

const fixtures = fileURLToPath(new URL("left-behind/", import.meta.url));
const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));

// Each starts a process, which starts others.
vi.setConfig({ testTimeout: 120_000 });

async function run(...args: string[]): Promise<{ code: unknown; output: string }> {
  const { code, stdout, stderr } = await runNode(args);
  return { code, output: stdout + stderr };
}

it.each(["rejection", "exception"])("an unhandled %s fails a run whose tests all pass", async (what) => {
  const { code, output } = await run(vitest, "run", "--root", fixtures, what);
  expect(output).toContain("left behind");
  expect(output).toMatch(/1 passed/);
  expect(code).toBe(1);
});

it("a process that a test starts ends with an error at an unhandled rejection", async () => {
  const { code, output } = await run("--eval", 'Promise.reject(new Error("left behind"))');
  expect(output).toContain("left behind");
  expect(code).toBe(1);
});
