import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startNatsServer } from "nats-dev-server";
import { describe, expect, inject, test } from "vitest";
import { newBucket } from "../support/variants.js";

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of `programs/` as a process of its own, as an application would be. */
function run(program: string, ...args: string[]): Promise<Outcome> {
  const path = fileURLToPath(new URL(`programs/${program}.mjs`, import.meta.url));
  return new Promise((resolve) => {
    const options = {
      timeout: 100_000,
      env: {
        ...process.env,
        NODE_OPTIONS: "--disable-warning=NATS_SESSION_SERVER_FAULT",
        NODE_ENV: "production",
      },
    };
    const child = execFile(process.execPath, [path, ...args], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

const METHODS = ["get", "set", "touch", "all", "length", "ids", "destroy", "clear"];

describe("an application's process", { concurrent: true, timeout: 120_000 }, () => {
  test("a callback that throws is called once, and its error is an uncaught exception", async () => {
    const { stdout, stderr } = await run("throwing-callbacks", inject("currentServer"), newBucket());
    expect(stderr).toBe("");
    const calls = METHODS.flatMap((method) => [`${method} on an open store`, `${method} on a closed store`]);
    expect(JSON.parse(stdout)).toEqual({
      calls: Object.fromEntries(calls.map((call) => [call, 1])),
      uncaught: [
        ...METHODS.map((method) => `${method} on an open store: done`),
        ...METHODS.map((method) => `${method} on a closed store: ERR_SESSION_CLOSED`),
      ],
      unhandled: [],
    });
  });

  test("an error of a callback that nobody handles ends the process as any other would", async () => {
    const { code, stderr } = await run("unheard-callback", inject("currentServer"), newBucket());
    expect(code).toBe(1);
    expect(stderr).toContain("Error: a mistake of the application");
    expect(stderr).not.toContain("SessionStoreError");
    expect(stderr).not.toContain("nhandled");
  });

  test("the stores print nothing, whatever happens, and keep no process alive", async () => {
    const down = await startNatsServer();
    await down.stop();
    expect(await run("quiet-apps", inject("currentServer"), down.url)).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
  });
});
