import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";

const fixtures = fileURLToPath(new URL("left-behind/", import.meta.url));
const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));

// Each starts a process, which starts others.
vi.setConfig({ testTimeout: 120_000 });

function run(...args: string[]): Promise<{ code: unknown; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { timeout: 110_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, output: stdout + stderr }),
    );
  });
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
