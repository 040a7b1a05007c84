import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { INSTALLING, Installations, run } from "./installations.js";

const here = fileURLToPath(new URL("./", import.meta.url));

/** Time to compile an application together with the declarations of everything that it imports. */
const COMPILING = 240_000;

let installations: Installations;

afterAll(() => installations?.[Symbol.asyncDispose]());

describe("an ESM project with the packed packages and the newer client", () => {
  let project: string;

  beforeAll(async () => {
    installations = await Installations.open();
    const clients = ["@nats-io/transport-node@3", "nats@2"];
    const frameworks = ["express-session@1", "koa-session@7"];
    const types = ["@types/express-session", "@types/node@20", "typescript@5.9"];
    project = await installations.install("esm", "module", [...clients, ...frameworks, ...types]);
  }, INSTALLING);

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
