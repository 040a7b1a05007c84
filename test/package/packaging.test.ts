import { readdir, readFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { join, sep } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { newBucket } from "../support/variants.js";
import { INSTALLING, Installations, run } from "./installations.js";

const PACKAGES = ["nats-session-store", "connect-nats", "koa-session-nats"] as const;

/** Time for npm to look through a project. */
const LOOKING = 240_000;

let installations: Installations;

beforeAll(async () => {
  installations = await Installations.open();
}, INSTALLING);

afterAll(() => installations?.[Symbol.asyncDispose]());

describe("an ESM project with the packed packages and the newer client", () => {
  let project: string;

  beforeAll(async () => {
    const clients = ["@nats-io/transport-node@3", "nats@2"];
    const frameworks = ["express-session@1", "koa-session@7"];
    project = await installations.install("esm", "module", [...clients, ...frameworks]);
  }, INSTALLING);

  test("has every dependency and peer that npm wants", { timeout: LOOKING }, async () => {
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
});

describe("a CommonJS project with the packed packages and the older client", () => {
  let project: string;

  beforeAll(async () => {
    project = await installations.install("commonjs", "commonjs", [
      "nats@2",
      "express-session@1",
      "koa-session@7",
    ]);
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
