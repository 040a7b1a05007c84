// `npm run setup`: installs the dependencies when they are missing or have changed, then builds. Runs before
// anything is installed, so it uses nothing but Node and npm.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const stampFile = join(root, "node_modules", ".setup-stamp");
const onWindows = process.platform === "win32";

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

async function main() {
  checkNode();
  const stamp = fingerprint();
  if (!isInstalled(stamp)) {
    await install();
    writeFileSync(stampFile, stamp);
  }
  await build();
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Error(
    `Node 20.19 or newer is needed; this is Node ${process.versions.node} (${process.execPath})`,
  );
}

/** The folders of the workspace's members, after the simple patterns of pnpm-workspace.yaml. */
function members() {
  const yaml = readFileSync(join(root, "pnpm-workspace.yaml"), "utf8");
  const list = /^packages:\s*\n((?:[ \t]+-.*\n?)+)/m.exec(yaml);
  const patterns = list ? list[1].match(/[^\s"'-][^\s"']*/g) : [];
  return patterns
    .flatMap((pattern) => {
      if (!pattern.endsWith("/*")) return [pattern];
      const parent = pattern.slice(0, -2);
      return existsSync(join(root, parent))
        ? readdirSync(join(root, parent)).map((name) => `${parent}/${name}`)
        : [];
    })
    .filter((folder) => existsSync(join(root, folder, "package.json")))
    .sort();
}

/** Changes whenever an installation could give another result. */
function fingerprint() {
  const files = ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"];
  const hash = createHash("sha256");
  for (const file of [...files, ...members().map((folder) => `${folder}/package.json`)]) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update("\0");
  }
  return hash.digest("hex");
}

function isInstalled(stamp) {
  if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) return false;
  return members().every((folder) => {
    const { dependencies, devDependencies } = readJson(`${folder}/package.json`);
    const needed = Object.keys({ ...dependencies, ...devDependencies }).length > 0;
    return !needed || existsSync(join(root, folder, "node_modules"));
  });
}

async function install() {
  const pinned = readJson("package.json").packageManager.split("+")[0];
  const version = pinned.slice("pnpm@".length);
  console.error(`Installing dependencies with ${pinned}`);
  const args = [
    "install",
    "--frozen-lockfile",
    "--reporter=append-only",
    "--config.confirmModulesPurge=false",
  ];
  if (installedPnpm() === version) await run("Installing", "pnpm", args);
  else await run("Installing", ...npm(["exec", "--yes", "--", pinned, ...args]));
}

function installedPnpm() {
  const result = spawnSync("pnpm", ["--version"], {
    cwd: root,
    encoding: "utf8",
    env: env(),
    shell: onWindows,
  });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

async function build() {
  const notice = setTimeout(() => console.error("Building"), 2_000);
  try {
    await run("Building", ...npm(["run", "--silent", "build"]));
  } finally {
    clearTimeout(notice);
  }
}

/** npm as a command with arguments: the npm that runs this script, if it does, else the one on the PATH. */
function npm(args) {
  const script = process.env.npm_execpath;
  return script && basename(script) === "npm-cli.js" && existsSync(script)
    ? [process.execPath, [script, ...args]]
    : ["npm", args];
}

function env() {
  // `npm run --silent` would silence the errors of what is run here too.
  const { npm_config_loglevel: _, ...rest } = process.env;
  return { ...rest, COREPACK_ENABLE_DOWNLOAD_PROMPT: "0" };
}

/** Runs a command in the root and keeps its output to itself unless it fails. */
function run(what, command, args) {
  return new Promise((resolve, reject) => {
    // On Windows npm and pnpm are scripts, which only a shell starts; none of their arguments needs quoting.
    const shell = onWindows && command !== process.execPath;
    const child = spawn(command, args, { cwd: root, env: env(), shell, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    child.on("error", (error) => reject(new Error(`${what} failed: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${output.trimEnd()}\n${what} failed (${signal ?? `exit code ${code}`})`));
    });
  });
}

function readJson(file) {
  return JSON.parse(readFileSync(join(root, file), "utf8"));
}
