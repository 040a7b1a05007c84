import { execFile } from "node:child_process";
import { access, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../../../.cache/node/", import.meta.url));
const MAJORS = [20, 22, 24];

/** The versions of Node to try: this one for its own major version, the others from npm, kept in `.cache`. */
export async function nodes() {
  const own = Number(process.versions.node.split(".")[0]);
  const list = [];
  for (const major of MAJORS) {
    if (major === own) list.push({ path: process.execPath, version: process.version.slice(1), usual: true });
    else list.push(await fromNpm(major));
  }
  return list;
}

async function fromNpm(major) {
  const folder = join(cache, String(major));
  const path = join(folder, "package", "bin", "node");
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (!isThere) await download(major, folder);
  const { stdout } = await run(path, ["--version"]);
  return { path, version: stdout.trim().slice(1), usual: false };
}

async function download(major, folder) {
  const work = `${folder}.${process.pid}`;
  await mkdir(work, { recursive: true });
  try {
    const name = `node-${process.platform}-${process.arch}@${major}`;
    await run("npm", ["pack", name, "--pack-destination", work], { cwd: work, maxBuffer: 1 << 24 });
    const tarball = (await readdir(work)).find((file) => file.endsWith(".tgz"));
    await run("tar", ["-xzf", join(work, tarball), "-C", work]);
    await rm(join(work, tarball));
    await rename(work, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
