import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findNatsServer, natsServerVersion } from "./binary.js";

/** Debian releases, oldest first; bookworm has nats-server 2.9. */
export type DebianRelease = "bookworm" | "trixie" | "forky";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../../../.cache/debian/", import.meta.url));
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const pending = new Map<DebianRelease, Promise<{ path: string; version: string }>>();

/**
 * The nats-server of a Debian release, unpacked into `.cache/` at the root of the repository. The installed
 * packages of the system stay as they are. Downloaded once: later calls take the copy in the cache.
 *
 * @throws Error where there is no apt-get, or if the machine does not use a Debian mirror.
 */
export function debianNatsServer(release: DebianRelease): Promise<{ path: string; version: string }> {
  let result = pending.get(release);
  if (result === undefined) {
    result = provide(release);
    result.catch(() => pending.delete(release));
    pending.set(release, result);
  }
  return result;
}

async function provide(release: DebianRelease): Promise<{ path: string; version: string }> {
  const target = join(cache, release);
  const path = join(target, "usr", "sbin", "nats-server");
  const version = await natsServerVersion(path).catch(() => undefined);
  if (version !== undefined) return { path, version };

  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, `${release}-`));
  try {
    await unpack(release, work);
    await rename(join(work, "root"), target).catch(async (error) => {
      // Another process was faster: its copy is as good.
      await natsServerVersion(path).catch(() => Promise.reject(error));
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { path: findNatsServer({ binary: path }).path, version: await natsServerVersion(path) };
}

async function unpack(release: DebianRelease, work: string): Promise<void> {
  const mirror = await debianMirror();
  try {
    await download(release, work, mirror, `signed-by=${keyring}`);
  } catch (error) {
    if (!/NO_PUBKEY|Missing key|is not signed/.test(String(error))) throw error;
    process.emitWarning(`The installed Debian keys do not cover ${release}: its signature is not checked`);
    await download(release, work, mirror, "trusted=yes");
  }
  const deb = (await readdir(work)).find((name) => name.endsWith(".deb"));
  if (deb === undefined) throw new Error(`apt-get downloaded no nats-server of Debian ${release}`);
  await run("dpkg", ["-x", join(work, deb), join(work, "root")]);
}

async function download(release: DebianRelease, work: string, mirror: string, trust: string): Promise<void> {
  const sources = join(work, "sources.list");
  await writeFile(sources, `deb [${trust}] ${mirror} ${release} main\n`);
  await mkdir(join(work, "lists", "partial"), { recursive: true });
  await mkdir(join(work, "archives", "partial"), { recursive: true });
  const options = [
    `Dir::Etc::sourcelist=${sources}`,
    "Dir::Etc::sourceparts=-",
    `Dir::State::lists=${join(work, "lists")}`,
    `Dir::Cache=${work}`,
    "Acquire::Languages=none",
    "APT::Update::Error-Mode=any",
    "APT::Sandbox::User=",
  ].flatMap((option) => ["-o", option]);
  await apt([...options, "update"], work);
  await apt([...options, "download", "nats-server"], work);
}

/** Where this machine gets Debian itself from. */
async function debianMirror(): Promise<string> {
  const { stdout } = await apt(
    ["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
    dirname(cache),
  );
  const release = /^(bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)$/;
  for (const line of stdout.split("\n")) {
    const [uri, name, component] = line.split(" ");
    if (uri && name && release.test(name) && component === "main") return uri;
  }
  throw new Error("The package sources of this machine name no Debian mirror");
}

async function apt(args: string[], cwd: string): Promise<{ stdout: string }> {
  const env = { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  try {
    return await run("apt-get", args, { cwd, env, maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Error("Debian's nats-server packages need apt-get, which this machine does not have", {
      cause: error,
    });
  }
}
