import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { expect, inject, it, onTestFinished } from "vitest";
import { startApplication } from "./support/sessions.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

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
    const { packageManager } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    const pnpm = String(packageManager).split("+")[0] as string;
    for (const name of ["core", "cli"]) {
      const pack = ["exec", "--yes", "--", pnpm, "pack", "--pack-destination", folder];
      await run("npm", pack, { cwd: join(ROOT, "packages", name) });
    }
    const tarballs = (await readdir(folder)).map((file) => join(folder, file));
    const tarball = await readFile(tarballs.find((file) => file.includes("nats-session-cli")) as string);
    const { messages } = await publint({
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
      strict: true,
    });
    expect(messages).toEqual([]);

    await writeFile(join(folder, "package.json"), JSON.stringify({ private: true }));
    await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...tarballs], {
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
