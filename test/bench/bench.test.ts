import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

/** Runs the benchmarks' program. */
function bench(
  args: string[],
  environment: Record<string, string> = {},
): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment };
    execFile(
      process.execPath,
      [join(import.meta.dirname, "run.mjs"), ...args],
      { env },
      (error, stdout, stderr) => {
        resolve({ status: error ? Number(error.code) : 0, output: stdout + stderr });
      },
    );
  });
}

test("benchmarks.md, README.md and the charts show the kept results", async () => {
  const { output } = await bench(["--check"]);
  expect(output).not.toContain("not show the results");
  expect(output).toMatch(/benchmarks\.md shows the results|Measured on other code|Never measured/);
});

test("a missing server is named with the command that installs it, and all overlaps go right", async () => {
  const environment = { REDIS_SERVER_BIN: "/nowhere", POSTGRES_BIN: "/nowhere" };
  const { status, output } = await bench(["races", "--rounds", "1"], environment);

  expect(output).toMatch(
    /INCOMPLETE\n.*redis-server is not on this machine: `apt-get install .*redis-server`/,
  );
  expect(status).toBe(1);
  expect(output).toMatch(/overlaps went wrong with connect-nats with `resolve` +0$/m);
  expect(output).toMatch(/overlaps went wrong with connect-nats +1$/m);
}, 300_000);

test("an unknown benchmark is refused with the names that there are", async () => {
  const { status, output } = await bench(["nothing"]);

  expect(status).toBe(2);
  expect(output).toContain("http, store, races, scale");
});
