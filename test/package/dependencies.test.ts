import { existsSync } from "node:fs";
import { access, readdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const packages = fileURLToPath(new URL("../../packages/", import.meta.url));

/** What an installation of connect-nats and koa-session-nats may take, without frameworks and client. */
const BUDGET = { packages: 9, bytes: 6_500_000 };

interface Manifest {
  readonly name: string;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly scripts?: Record<string, string>;
  readonly files?: readonly string[];
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

/** All packages that one brings, by name, with their folders. */
async function broughtBy(folder: string, all = new Map<string, string>()): Promise<Map<string, string>> {
  const { dependencies, optionalDependencies } = await manifestIn(folder);
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    if (all.has(name)) continue;
    const found = await folderOf(name, folder);
    all.set(name, found);
    await broughtBy(found, all);
  }
  return all;
}

/** Bytes of what a package installs: of our own only what would be published. */
async function sizeOf(folder: string): Promise<number> {
  const published = (await manifestIn(folder)).files ?? ["."];
  const isOwn = folder.startsWith(packages);
  const roots = isOwn ? [...published, "package.json", "README.md"] : ["."];
  // A changelog is there from the first release on.
  const there = roots.filter((root) => !root.startsWith("!") && existsSync(join(folder, root)));
  const sizes = there.map((root) => bytesIn(join(folder, root)));
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function bytesIn(path: string): Promise<number> {
  const { size, isDirectory } = await stat(path).then((s) => ({
    size: s.size,
    isDirectory: s.isDirectory(),
  }));
  if (!isDirectory) return size;
  const names = (await readdir(path)).filter((name) => name !== "node_modules" && name !== ".tsbuildinfo");
  const sizes = await Promise.all(names.map((name) => bytesIn(join(path, name))));
  return sizes.reduce((sum, part) => sum + part, 0);
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

  it("add up to no more packages and bytes than the budget for an installation of both adapters", async () => {
    const adapters = ["express", "koa"].map((name) => join(packages, name));
    const all = new Map(adapters.map((folder) => [folder, folder]));
    for (const folder of adapters) await broughtBy(folder, all);
    const sizes = await Promise.all([...all.values()].map(sizeOf));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(all.size).toBeLessThanOrEqual(BUDGET.packages);
    expect(bytes).toBeLessThanOrEqual(BUDGET.bytes);
    const readme = await readFile(join(packages, "core/README.md"), "utf8");
    expect(readme).toContain(`${all.size} packages`);
  });

  it.each(["core", "express", "koa"])("run no script when %s is installed", async (name) => {
    const folder = join(packages, name);
    const folders = [folder, ...(await broughtBy(folder)).values()];
    const all = await Promise.all(folders.map(manifestIn));
    const scripts = all.filter(({ scripts = {} }) =>
      ["preinstall", "install", "postinstall"].some((script) => script in scripts),
    );
    expect(scripts.map(({ name }) => name)).toEqual([]);
  });
});

/** The names that the declarations of a package export, by where they come from. */
async function exportsOf(folder: string): Promise<Map<string, string[]>> {
  const text = await readFile(join(packages, folder, "dist/index.d.ts"), "utf8");
  const lists = text.matchAll(/export (?:type )?\{([^}]*)\} from "([^"]+)"/g);
  return new Map(
    Array.from(lists, ([, names = "", from = ""]) => [from, names.match(/\w+(?=,|\s*$)/g) ?? []]),
  );
}

// A declaration file cannot name a type that only a dependency of a dependency exports (TS2742, with pnpm).
it.each(["express", "koa"])(
  "the adapter of %s exports every type that a store of the core takes or gives",
  async (adapter) => {
    const core = await exportsOf("core");
    const names = ["./options.js", "./types.js", "./errors.js", "./store.js"].flatMap(
      (file) => core.get(file) ?? [],
    );
    expect(names.length).toBeGreaterThan(30);
    const exported = (await exportsOf(adapter)).get("nats-session-store");
    // The frameworks have a type of their own for the data.
    expect(names.filter((name) => name !== "SessionData" && !exported?.includes(name))).toEqual([]);
  },
);
