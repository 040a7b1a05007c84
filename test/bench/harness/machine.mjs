import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const require = createRequire(import.meta.url);

/** The code that the figures are about. */
const measured = ["packages/core/src", "packages/express/src", "packages/koa/src"];

/** What a machine and its programs are. */
export function machine() {
  const [{ model = "unknown CPU" } = {}, ...others] = cpus();
  return {
    cpu: `${others.length + 1} × ${model.trim()}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${process.platform} ${process.arch}`,
    node: process.version.slice(1),
  };
}

/** The installed versions of npm packages. */
export function versionsOf(names) {
  return Object.fromEntries(names.map((name) => [name, versionOf(name)]));
}

function versionOf(name) {
  const folder = require.resolve(name).split(`${sep}${name.replace("/", sep)}${sep}`, 1)[0];
  return require(join(folder, name, "package.json")).version;
}

/** The state of the measured code: a hash of its text, and the commit that made it what it is. */
export function source() {
  const hash = createHash("sha256");
  for (const folder of measured) {
    const files = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
    const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
    for (const path of paths.sort())
      hash.update(path.slice(root.length)).update("\0").update(readFileSync(path));
  }
  return { hash: hash.digest("hex").slice(0, 16), commit: commit() };
}

/** With a plus sign when it has been changed since; `undefined` outside of a repository. */
function commit() {
  const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim();
  try {
    const changed = git("status", "--porcelain", "--", ...measured) !== "";
    return git("log", "-1", "--format=%h", "--", ...measured) + (changed ? "+" : "");
  } catch {
    return undefined;
  }
}
