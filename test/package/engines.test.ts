import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { packed } from "../support/packed.js";
import { runNode } from "../support/run-program.js";
import { run } from "./pack.mjs";

const yarn = fileURLToPath(new URL("../node_modules/yarn/bin/yarn.js", import.meta.url));

/** Time to pack the packages and to install them. */
const INSTALLING = 400_000;

// Yarn 1 refuses a package that another Node is wanted for, also one that another package brings. The client asks for
// Node 22 from 3.4 on; so the packages bring nothing later than 3.3, and an application on Node 20 may do the same.
test(
  "yarn 1 installs every package and the client's 3.3 on the oldest Node that is supported",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "engines-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const tarballs = Object.entries(await packed());
    const packages = Object.fromEntries(tarballs.map(([name, path]) => [name, `file:${path}`]));
    const others = {
      "@nats-io/transport-node": "~3.3.1",
      "express-session": "1.19.0",
      "koa-session": "7.0.2",
    };
    const manifest = { private: true, dependencies: { ...packages, ...others }, resolutions: packages };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    await run(
      process.execPath,
      [yarn, "install", "--no-lockfile", "--non-interactive", "--network-timeout", "300000"],
      { cwd: folder },
    );
    const program = `process.chdir(${JSON.stringify(folder)});
      const { createRequire } = require("node:module");
      const load = createRequire(${JSON.stringify(`${folder}/`)});
      load("@nats-io/transport-node");
      console.log(typeof load("connect-nats").NatsStore, typeof load("koa-session-nats").NatsStore);`;
    expect(await runNode(["--eval", program])).toMatchObject({ code: 0, stdout: "function function\n" });
  },
  INSTALLING,
);
