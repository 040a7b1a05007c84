import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { publint } from "publint";
import { expect, inject, it, onTestFinished } from "vitest";
import { packed } from "../support/packed.js";
import { startApplication } from "./support/sessions.js";

/** Runs a command. @returns what it printed */
async function run(command: string, args: string[], { cwd }: { cwd: string }): Promise<string> {
  // A child of `npm test` must not tell another npm where that one works.
  const { npm_config_prefix: _p, npm_config_local_prefix: _l, ...env } = process.env;
  return (await promisify(execFile)(command, args, { cwd, env })).stdout;
}

/** Time for npm to pack and install. */
const INSTALLING = 400_000;

it(
  "the packed program is installed by npm and runs through npx",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "nats-sessions-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { "nats-session-store": core = "", "nats-session-cli": cli = "" } = await packed();
    const tarball = await readFile(cli);
    const { messages } = await publint({
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
      strict: true,
    });
    expect(messages).toEqual([]);

    await writeFile(join(folder, "package.json"), JSON.stringify({ private: true }));
    await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", core, cli], {
      cwd: folder,
    });
    const npx = (...args: string[]) =>
      run("npx", ["--no-install", "nats-sessions", ...args], { cwd: folder });
    expect(await npx("--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { bucket, signIn } = await startApplication();
    const handle = await signIn("an id");
    const list = ["list", "--bucket", bucket, "--server", inject("currentServer"), "--format", "ids"];
    expect(await npx(...list)).toBe(`${handle}\n`);

    // The clients of databases are not installed with it.
    for (const [name, url] of [
      ["redis", "redis://127.0.0.1:1"],
      ["pg", "postgres://127.0.0.1:1/db"],
    ] as const) {
      const failed = npx("migrate", "--bucket", bucket, "--server", inject("currentServer"), "--from", url);
      await expect(failed).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`Expected the package \`${name}\` beside nats-session-cli`),
      });
    }
  },
  INSTALLING,
);
