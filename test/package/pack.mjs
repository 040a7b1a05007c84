// Packs the published packages as they would be published.
import { spawn } from "node:child_process";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

export const PACKAGES = [
  { name: "nats-session-store", folder: "packages/core" },
  { name: "connect-nats", folder: "packages/express" },
  { name: "koa-session-nats", folder: "packages/koa" },
  { name: "nats-session-cli", folder: "packages/cli" },
];

/**
 * Writes one tarball for each package.
 * @returns the tarball's path by the package's name
 */
export async function packAll(folder) {
  await mkdir(folder, { recursive: true });
  const { packageManager } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const pnpm = packageManager.split("+")[0];
  for (const { folder: cwd } of PACKAGES) {
    const args = ["exec", "--yes", "--", pnpm, "pack", "--pack-destination", folder];
    await run("npm", args, { cwd: join(root, cwd) });
  }
  const files = await readdir(folder);
  return Object.fromEntries(
    PACKAGES.map(({ name }) => {
      const file = files.find((candidate) => candidate.startsWith(`${name}-`) && candidate.endsWith(".tgz"));
      if (!file) throw new Error(`${name} was not packed: ${files.join(", ") || "nothing was"}`);
      return [name, join(folder, file)];
    }),
  );
}

/** Runs a command. @returns what it printed; a failure is an error with all of it */
export function run(command, args, { cwd } = {}) {
  return new Promise((resolve, reject) => {
    const shell = process.platform === "win32";
    const child = spawn(command, args, { cwd, env: env(), shell, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${args.join(" ")} failed (exit code ${code})\n${output}`));
    });
  });
}

/** What an npm that runs this told its children about its own folder is not for the npm that is run here. */
function env() {
  const {
    npm_config_prefix: _p,
    npm_config_local_prefix: _l,
    npm_config_loglevel: _v,
    ...rest
  } = process.env;
  return { ...rest, COREPACK_ENABLE_DOWNLOAD_PROMPT: "0" };
}
