import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Browser } from "../examples/browser.js";
import { Scripts } from "../examples/script.js";
import { blocksIn, pages, programsOn } from "../package/documents.js";
import { PACKING } from "../support/packed.js";
import { newBucket } from "../support/variants.js";
import { installedFile, Projects, stackFolder, versionIn } from "./project.js";
import { type ServedStack, served } from "./stacks.js";
import { CHECKS, type Result, tablesOf, writeTable, writtenTable } from "./tables.js";
import { Visitor } from "./visitor.js";

// Each framework, in the versions of the lock file, with the packages as they would be published.
let server: NatsServer;
let projects: Projects;
const results: Result[] = [];

beforeAll(async () => {
  [server, projects] = await Promise.all([startNatsServer({ timeout: 60_000 }), Projects.open()]);
}, PACKING);

afterAll(async () => {
  await server?.stop();
  await projects?.[Symbol.asyncDispose]();
});

const environment = () => ({ NATS_URL: server.url, BUCKET: newBucket() });

/** Notes down what passed. */
async function passed(stack: string, shows: Readonly<Record<string, string>>, checks: readonly string[]) {
  const versions = new Map<string, string>();
  for (const [name, label] of Object.entries(shows)) versions.set(label, await versionIn(stack, name));
  results.push({ stack, versions, checks: new Set(checks) });
}

/** Runs a command in a project to its end. @returns what it printed; it fails unless the command succeeds */
function runIn(project: string, command: string, args: readonly string[]): Promise<string> {
  const env = { ...process.env, ...environment(), CI: "true" };
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd: project, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command} ${args.join(" ")}: ${error.message}\n${stdout}${stderr}`));
      else resolve(stdout + stderr);
    });
  });
}

/** Bun and Deno come as npm packages for Linux on x64; elsewhere they are left out, in CI that is a failure. */
function isMissing({ name, command }: ServedStack): boolean {
  if (!command || command().path) return false;
  if (process.env.CI) throw new Error(`${name} is not installed: npm run setup`);
  console.warn(`${name} is not installed, its tests are left out`);
  return true;
}

describe.each(served)("$name", (stack) => {
  test.skipIf(isMissing(stack))(
    "signs in with a new id, merges overlapping requests, signs out for good, and answers an outage with 503",
    async () => {
      const project = await projects.make(stack.name, [stack.program, "gate.mjs"]);
      await using scripts = new Scripts();
      const { path, args } = stack.command?.() ?? { path: process.execPath, args: [] };
      // Node's own options are not for Bun and Deno.
      const env = { ...environment(), ...(stack.command && { NODE_OPTIONS: "", DENO_NO_UPDATE_CHECK: "1" }) };
      const settings = { cwd: project, env, command: path as string };
      const { url } = await scripts.start([...args, stack.program], settings);
      const ada = Visitor.at(url);

      await ada.post("/set/cart");
      const before = ada.copy();
      await ada.signIn();
      const home = await ada.view();
      expect(home.user).toBe("ada");
      if (home.token !== undefined) expect(home.message).toBe("Hello ada");
      expect((await before.view()).user).toBeNull();

      const slow = await ada.begin("/slow/theme");
      await ada.post("/set/cart");
      await slow.release();
      expect((await ada.view()).data).toEqual({ cart: "set", theme: "set" });

      const old = ada.copy();
      const late = await old.begin("/slow/cart");
      await ada.post("/sign-out");
      await late.release();
      expect((await old.view()).user).toBeNull();

      const grace = Visitor.at(url);
      await grace.signIn();
      await new Browser(url).request("/cut", { method: "POST" });
      const page = await grace.get();
      expect(page).toMatchObject({ status: 503, text: '{"code":"ERR_SESSION_UNAVAILABLE"}', cookies: [] });
      await passed(stack.name, stack.shows, CHECKS);
    },
  );
});

test("socket.io-4 lets sockets in by their session, and closes them when it ends, with the recipe of the page", async () => {
  const stack = "socket.io-4";
  const project = await projects.make(stack, ["sockets.mjs"]);
  const recipes = (await pages()).flatMap(programsOn);
  const recipe = recipes.find(({ name }) => name === "packages/core/docs/sockets.md: Socket.IO 4");
  const program = join(project, "sockets.mjs");
  const source = (await readFile(program, "utf8")).replace("RECIPE;", recipe?.source ?? "");
  await writeFile(program, source);
  expect(await runIn(project, process.execPath, ["sockets.mjs"])).toBe(
    "stranger: io server disconnect\nconnected: true\nsigned out: io server disconnect\n",
  );
  await passed(
    stack,
    { "socket.io": "Socket.IO", express: "Express", "express-session": "express-session" },
    ["sockets end with their session"],
  );
});

test("jest-30 loads the packages in CommonJS, without any configuration", async () => {
  const stack = "jest-30";
  const project = await projects.make(stack, ["jest.spec.cjs"]);
  const jest = join(stackFolder(stack), "node_modules/jest/bin/jest.js");
  const config = JSON.stringify({ rootDir: project, testMatch: ["**/*.spec.cjs"] });
  const output = await runIn(project, process.execPath, [jest, "--ci", "--config", config, "--no-cache"]);
  expect(output).toContain("3 passed");
  await passed(stack, { jest: "Jest", express: "Express", koa: "Koa" }, ["CommonJS"]);
});

test("nest-11 keeps sessions, and its tests run with ts-jest in CommonJS", async () => {
  const stack = "nest-11";
  const project = await projects.make(stack, ["nest.module.ts", "nest.spec.ts"]);
  const compilerOptions = {
    module: "nodenext",
    moduleResolution: "nodenext",
    target: "es2023",
    esModuleInterop: true,
    isolatedModules: true,
    emitDecoratorMetadata: true,
    experimentalDecorators: true,
    strict: true,
    skipLibCheck: true,
    types: ["node", "jest"],
  };
  await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  await runIn(project, process.execPath, [
    installedFile(stack, "typescript/bin/tsc") as string,
    "--noEmit",
    "--project",
    "tsconfig.json",
  ]);
  const jest = installedFile(stack, "jest/bin/jest.js") as string;
  const transform = { "^.+\\.ts$": [installedFile(stack, "ts-jest/dist/index.js"), {}] };
  const config = JSON.stringify({ rootDir: project, testRegex: "\\.spec\\.ts$", transform });
  expect(await runIn(project, process.execPath, [jest, "--ci", "--config", config, "--no-cache"])).toContain(
    "2 passed",
  );
  await passed(
    stack,
    { "@nestjs/core": "NestJS", jest: "Jest", "ts-jest": "ts-jest", typescript: "TypeScript" },
    ["sign-in", "sign-out", "CommonJS"],
  );
});

test("typescript compiles and runs the programs of the page as ES modules and as CommonJS, under node16", async () => {
  const stack = "typescript";
  const project = await projects.make(stack, []);
  const page = (await pages()).find(({ path }) => path.endsWith("docs/frameworks.md"));
  const listen =
    'const server = app.listen(0, () => console.log("http://127.0.0.1:" + (server.address() as { port: number }).port));';
  const programs = blocksIn(page?.text ?? "", "ts").map(({ source }) =>
    source
      .replace('"nats://127.0.0.1:4222"', "process.env.NATS_URL ?? []")
      .replace("app.listen(3000);", listen),
  );
  const names = programs.flatMap((_, n) => [`program-${n}.mts`, `program-${n}.cts`]);
  for (const name of names) await writeFile(join(project, name), programs[Number(/\d+/.exec(name))] ?? "");
  const options = [
    "--strict",
    "--module",
    "node16",
    "--target",
    "es2022",
    "--types",
    "node",
    "--skipLibCheck",
  ];
  const tsc = installedFile(stack, "typescript/bin/tsc") as string;
  await runIn(project, process.execPath, [tsc, ...options, ...names]);
  expect(names).toHaveLength(4);
  for (const name of names) {
    await using scripts = new Scripts();
    const env = environment();
    const { url } = await scripts.start([name.replace(/ts$/, "js")], { cwd: project, env });
    const browser = new Browser(url);
    expect((await browser.get("/")).text).toBe("1 visits");
    expect((await browser.get("/")).text).toBe("2 visits");
  }
  await passed(stack, { typescript: "TypeScript", express: "Express", koa: "Koa" }, [
    "ES modules",
    "CommonJS",
  ]);
});

test.skipIf(served.some(isMissing)).each(["README.md", "packages/core/docs/frameworks.md"])(
  "the table of %s is what this run found",
  async (page) => {
    const table = tablesOf(results).get(page) as string;
    if (process.env.SESSION_TEST_RECORD) await writeTable(page, table);
    expect(await writtenTable(page), "npm run test:frameworks writes it").toBe(table);
  },
);
