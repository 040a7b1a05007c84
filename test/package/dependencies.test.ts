import { access, readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const packages = fileURLToPath(new URL("../../packages/", import.meta.url));

interface Manifest {
  readonly name: string;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly scripts?: Record<string, string>;
}

const manifestIn = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, "package.json"), "utf8"));

/** Where Node finds a dependency of the package in this folder. */
async function folderOf(dependency: string, from: string): Promise<string> {
  for (let folder = await realpath(from); ; folder = dirname(folder)) {
    const found = join(folder, "node_modules", dependency);
    const isThere = await access(found).then(
      () => true,
      () => false,
    );
    if (isThere) return realpath(found);
    if (folder === dirname(folder)) throw new Error(`${dependency} is not installed`);
  }
}

/** All packages that one brings, by name. */
async function broughtBy(folder: string, all = new Map<string, Manifest>()): Promise<Map<string, Manifest>> {
  const { dependencies, optionalDependencies } = await manifestIn(folder);
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    if (all.has(name)) continue;
    const found = await folderOf(name, folder);
    all.set(name, await manifestIn(found));
    await broughtBy(found, all);
  }
  return all;
}

/** The packages that a README names in its section on dependencies. */
async function listedIn(folder: string): Promise<string[]> {
  const readme = await readFile(join(folder, "README.md"), "utf8");
  const section = /## Dependencies\n([\s\S]*?)(?=\n## |$)/.exec(readme)?.[1] ?? "";
  const rows = [...section.matchAll(/^(?:\| )?`([^`]+)`/gm)].map(([, name = ""]) => name);
  return rows.sort();
}

describe("the dependencies of the published packages", () => {
  it("are all listed in the README of the core with the reason", async () => {
    const all = await broughtBy(join(packages, "core"));
    expect([...all.keys()].sort()).toEqual(await listedIn(join(packages, "core")));
  });

  it.each(["express", "koa"])(
    "are only the core for the adapter of %s, as its README says",
    async (adapter) => {
      const { dependencies } = await manifestIn(join(packages, adapter));
      expect(Object.keys(dependencies ?? {})).toEqual(["nats-session-store"]);
      expect(await listedIn(join(packages, adapter))).toEqual(["nats-session-store"]);
    },
  );

  it.each(["core", "express", "koa"])("run no script when %s is installed", async (name) => {
    const folder = join(packages, name);
    const all = [await manifestIn(folder), ...(await broughtBy(folder)).values()];
    const scripts = all.filter(({ scripts = {} }) =>
      ["preinstall", "install", "postinstall"].some((script) => script in scripts),
    );
    expect(scripts.map(({ name }) => name)).toEqual([]);
  });
});
