import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../package/pack.mjs";
import { packed } from "../support/packed.js";

const here = fileURLToPath(new URL("./", import.meta.url));
const core = fileURLToPath(new URL("../../packages/core/", import.meta.url));

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly type?: string;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

const manifestIn = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, "package.json"), "utf8"));

/**
 * The folders of `stacks` hold what a framework's users install; `npm run setup` installs it with everything else,
 * with the versions of the lock file. So a run of these tests asks no registry.
 */
export const stackFolder = (stack: string): string => join(here, "stacks", stack);

/** Projects of users, in a folder outside of this repository, so that Node finds nothing there but what is theirs. */
export class Projects implements AsyncDisposable {
  private constructor(
    private readonly folder: string,
    private readonly packages: ReadonlyMap<string, string>,
  ) {}

  /** Unpacks the packages as they would be published. */
  static async open(): Promise<Projects> {
    const folder = await realpath(await mkdtemp(join(tmpdir(), "frameworks-")));
    const { "nats-session-cli": _, ...tarballs } = await packed();
    const packages = new Map<string, string>();
    for (const [name, tarball] of Object.entries(tarballs)) {
      const unpacked = join(folder, "unpacked", name);
      await mkdir(unpacked, { recursive: true });
      await run("tar", ["-xzf", tarball, "-C", unpacked, "--strip-components=1"]);
      packages.set(name, unpacked);
    }
    return new Projects(folder, packages);
  }

  /**
   * Makes a project as npm would: the packages beside what they need and what the framework's users install.
   * @param programs files of `programs` to copy there
   * @returns its folder
   */
  async make(stack: string, programs: readonly string[]): Promise<string> {
    const project = join(this.folder, stack);
    const modules = join(project, "node_modules");
    await mkdir(modules, { recursive: true });
    await link(join(stackFolder(stack), "node_modules"), modules);
    for (const [name, folder] of this.packages) {
      await cp(folder, join(modules, name), { recursive: true });
      // What the core needs; the adapters need only the core and their framework.
      for (const dependency of Object.keys((await manifestIn(folder)).dependencies ?? {})) {
        if (this.packages.has(dependency) || existsSync(join(modules, dependency))) continue;
        await mkdir(join(modules, dependency, ".."), { recursive: true });
        await symlink(await realpath(join(core, "node_modules", dependency)), join(modules, dependency));
      }
    }
    const { type } = await manifestIn(stackFolder(stack));
    await writeFile(join(project, "package.json"), JSON.stringify({ name: "project", private: true, type }));
    for (const program of programs) await cp(join(here, "programs", program), join(project, program));
    return project;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

/** Links to each package in a folder of installed packages, those with a scope included. */
async function link(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (name.startsWith(".")) continue;
    if (name.startsWith("@")) {
      await mkdir(join(to, name), { recursive: true });
      await link(join(from, name), join(to, name));
    } else await symlink(await realpath(join(from, name)), join(to, name));
  }
}

/** The version of a package that a stack has. */
export async function versionIn(stack: string, name: string): Promise<string> {
  return (await manifestIn(join(stackFolder(stack), "node_modules", name))).version;
}

/** A file in a package that a stack has, or `undefined` where the package is not installed on this machine. */
export function installedFile(stack: string, path: string): string | undefined {
  const file = join(stackFolder(stack), "node_modules", path);
  return existsSync(file) ? file : undefined;
}
