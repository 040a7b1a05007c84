import { execFile } from "node:child_process";
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { packed } from "../support/packed.js";
import { newBucket } from "../support/variants.js";

const here = fileURLToPath(new URL("./", import.meta.url));
const PACKAGES = ["nats-session-store", "connect-nats", "koa-session-nats"] as const;

/** Time for npm to install a project. */
const INSTALLING = 400_000;

/** Time to compile an application together with the declarations of everything that it imports. */
const COMPILING = 240_000;

let folder: string;
let tarballs: string[];

interface Outcome {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. A child of `npm test` must not tell another npm where that one works. */
function run(command: string, args: string[], cwd: string): Promise<Outcome> {
  const { npm_config_prefix: _p, npm_config_local_prefix: _l, ...rest } = process.env;
  const env = { ...rest, NODE_OPTIONS: "--disable-warning=NATS_SESSION_SERVER_FAULT" };
  const shell = process.platform === "win32" && command !== process.execPath;
  return new Promise((resolve) => {
    execFile(command, args, { cwd, env, shell, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    );
  });
}

/** A clean project with the packed packages and whatever else its application needs. */
async function install(name: string, type: "module" | "commonjs", dependencies: string[]): Promise<string> {
  const project = join(folder, name);
  await mkdir(project);
  await writeFile(join(project, "package.json"), JSON.stringify({ name, private: true, type }));
  const args = ["install", "--no-audit", "--no-fund", "--prefer-offline", ...tarballs, ...dependencies];
  const { status, stderr } = await run("npm", args, project);
  if (status !== 0) throw new Error(`npm could not install ${name}:\n${stderr}`);
  await cp(join(here, "consumer"), project, { recursive: true });
  return project;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "packaging-"));
  tarballs = Object.values(await packed());
}, INSTALLING);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("an ESM project with the packed packages and the newer client", () => {
  let project: string;

  beforeAll(async () => {
    const clients = ["@nats-io/transport-node@3", "nats@2"];
    const frameworks = ["express-session@1", "koa-session@7"];
    const types = ["@types/express-session", "@types/node@20", "typescript@5.9"];
    project = await install("esm", "module", [...clients, ...frameworks, ...types]);
  }, INSTALLING);

  test("has every dependency and peer that npm wants", { timeout: COMPILING }, async () => {
    expect(await run("npm", ["ls", "--all"], project)).toMatchObject({ status: 0 });
  });

  test("imports everything, stores a session and reads it, without a warning", async () => {
    const args = ["round-trip.mjs", inject("currentServer"), newBucket()];
    expect(await run(process.execPath, args, project)).toEqual({ status: 0, stdout: "done\n", stderr: "" });
  });

  describe.each(PACKAGES)("the package %s", (name) => {
    const files = async () => {
      const root = join(project, "node_modules", name);
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) =>
          join(entry.parentPath, entry.name)
            .slice(root.length + 1)
            .split(sep)
            .join("/"),
        );
    };
    const textOf = (file: string) => readFile(join(project, "node_modules", name, file), "utf8");

    test("holds what it needs, a README and a licence, and nothing else", async () => {
      const list = await files();
      expect(list).toEqual(
        expect.arrayContaining(["package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts"]),
      );
      const known =
        /^((commonjs\/)?package\.json|README\.md|LICENSE|CHANGELOG\.md|(dist|commonjs)\/.*\.(js|d\.ts))$/;
      expect(list.filter((file) => !known.test(file))).toEqual([]);
      expect(list.filter((file) => /\btests?\b|\bspec\b|\bbench/i.test(file))).toEqual([]);
    });

    test("names no source map that is missing", async () => {
      const naming: string[] = [];
      for (const file of await files()) {
        if ((await textOf(file)).includes("//# sourceMappingURL=")) naming.push(file);
      }
      expect(naming).toEqual([]);
    });

    test("imports nothing that its package.json does not name", async () => {
      const manifest = JSON.parse(await textOf("package.json"));
      const named = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
      const imported = new Set<string>();
      for (const file of (await files()).filter((path) => /\.(js|d\.ts)$/.test(path))) {
        const specifiers = (await textOf(file)).matchAll(/(?:from|import|import\(|require\()\s*"([^"]+)"/g);
        for (const [, specifier = ""] of specifiers) {
          if (/^(\.|node:)/.test(specifier) || builtinModules.includes(specifier)) continue;
          imported.add(/^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier);
        }
      }
      expect([...imported].filter((dependency) => !named.includes(dependency))).toEqual([]);
    });

    test("depends on published versions, not on the workspace", async () => {
      expect(await textOf("package.json")).not.toContain("workspace:");
    });
  });

  test(
    "compiles with the module resolution of before `exports`, entries of the core included",
    async () => {
      const compilerOptions = {
        ...{ module: "commonjs", moduleResolution: "node10", esModuleInterop: true, skipLibCheck: true },
        ...{ target: "es2022", types: ["node"], strict: true, noEmit: true },
      };
      const files = ["application.ts", "entries.ts"];
      await writeFile(join(project, "tsconfig.node10.json"), JSON.stringify({ compilerOptions, files }));
      const tsc = join(project, "node_modules/.bin/tsc");
      expect(await run(tsc, ["-p", "tsconfig.node10.json"], project)).toMatchObject({
        status: 0,
        stdout: "",
      });
    },
    COMPILING,
  );

  const strictest = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: true };
  describe.each([
    ["TypeScript 5.9", () => join(project, "node_modules/.bin/tsc")],
    ["this repository's TypeScript", () => join(here, "../../node_modules/.bin/tsc")],
  ] as const)("compiled by %s", (_name, tsc) => {
    test.each([
      ["nodenext, with all declarations checked", "ts", { module: "nodenext", skipLibCheck: false }],
      [
        "node16, in CommonJS, with all declarations checked",
        "cts",
        { module: "node16", skipLibCheck: false },
      ],
      [
        "bundler, with every strict option",
        "ts",
        { module: "esnext", moduleResolution: "bundler", ...strictest },
      ],
    ])(
      "a strict application compiles: %s",
      async (_title, extension, options) => {
        const compilerOptions = { target: "es2022", types: ["node"], strict: true, noEmit: true, ...options };
        const config = `tsconfig.${options.module}.${extension}.json`;
        const file = `application.${extension}`;
        if (extension === "cts") await copyFile(join(project, "application.ts"), join(project, file));
        const content = { compilerOptions, files: [file] };
        await writeFile(join(project, config), JSON.stringify(content));
        expect(await run(tsc(), ["-p", config], project)).toMatchObject({ status: 0, stdout: "" });
      },
      COMPILING,
    );
  });
});

describe("a CommonJS project with the packed packages and the older client", () => {
  let project: string;

  beforeAll(async () => {
    project = await install("commonjs", "commonjs", ["nats@2", "express-session@1", "koa-session@7"]);
  }, INSTALLING);

  test("requires everything, stores a session and reads it, without a warning", async () => {
    const args = ["round-trip.cjs", inject("currentServer"), newBucket()];
    expect(await run(process.execPath, args, project)).toEqual({ status: 0, stdout: "done\n", stderr: "" });
  });

  test("stores a session and reads it where require() loads no ES modules, as in Jest", async () => {
    const args = ["--no-experimental-require-module", "round-trip.cjs", inject("currentServer"), newBucket()];
    expect(await run(process.execPath, args, project)).toEqual({ status: 0, stdout: "done\n", stderr: "" });
  });

  test.each(PACKAGES)("gets the same %s by require() as an ES module by import", async (name) => {
    const program = `import(${JSON.stringify(name)}).then((imported) => console.log(imported === require(${JSON.stringify(name)})))`;
    expect(await run(process.execPath, ["--eval", program], project)).toMatchObject({ stdout: "true\n" });
  });
});
