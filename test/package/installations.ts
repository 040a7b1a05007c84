import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packed } from "../support/packed.js";

const consumer = fileURLToPath(new URL("consumer", import.meta.url));

/** Time for npm to install a project. */
export const INSTALLING = 400_000;

export interface Outcome {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. A child of `npm test` must not tell another npm where that one works. */
export function run(command: string, args: string[], cwd: string): Promise<Outcome> {
  const { npm_config_prefix: _p, npm_config_local_prefix: _l, ...rest } = process.env;
  const env = { ...rest, NODE_OPTIONS: "--disable-warning=NATS_SESSION_SERVER_FAULT" };
  const shell = process.platform === "win32" && command !== process.execPath;
  return new Promise((resolve) => {
    execFile(command, args, { cwd, env, shell, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    );
  });
}

/** Projects that npm installs, with the packages as they would be published. */
export class Installations implements AsyncDisposable {
  private constructor(
    private readonly folder: string,
    private readonly tarballs: readonly string[],
  ) {}

  static async open(): Promise<Installations> {
    const folder = await mkdtemp(join(tmpdir(), "packaging-"));
    return new Installations(folder, Object.values(await packed()));
  }

  /** A clean project with the packed packages and whatever else its application needs. @returns its folder */
  async install(name: string, type: "module" | "commonjs", dependencies: string[]): Promise<string> {
    const project = join(this.folder, name);
    await mkdir(project);
    await writeFile(join(project, "package.json"), JSON.stringify({ name, private: true, type }));
    const args = [
      "install",
      "--no-audit",
      "--no-fund",
      "--prefer-offline",
      ...this.tarballs,
      ...dependencies,
    ];
    const { status, stderr } = await run("npm", args, project);
    if (status !== 0) throw new Error(`npm could not install ${name}:\n${stderr}`);
    await cp(consumer, project, { recursive: true });
    return project;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
