import { installedFile } from "./project.js";

/** Applications that are told over HTTP what to do. */
export interface ServedStack {
  readonly name: string;
  /** Packages of which the tables name the version, with the names that readers know. */
  readonly shows: Readonly<Record<string, string>>;
  readonly program: "express.mjs" | "koa.mjs" | "fastify.mjs";
  /** Another command than node, `undefined` where it is not installed, and its arguments before the program. */
  readonly command?: () => { path: string | undefined; args: readonly string[] };
}

const onExpress = {
  express: "Express",
  "express-session": "express-session",
  passport: "passport",
  "connect-flash": "connect-flash",
  "csrf-sync": "csrf-sync",
};
const onKoa = { koa: "Koa", "koa-session": "koa-session" };

export const served: readonly ServedStack[] = [
  ...["express-4-session-1.17", "express-4", "express-5-session-1.17", "express-5"].map(
    (name): ServedStack => ({ name, shows: onExpress, program: "express.mjs" }),
  ),
  ...["koa-2", "koa-3"].map((name): ServedStack => ({ name, shows: onKoa, program: "koa.mjs" })),
  {
    name: "fastify-5",
    shows: { fastify: "Fastify", "@fastify/session": "@fastify/session" },
    program: "fastify.mjs",
  },
  {
    name: "bun",
    shows: { "@oven/bun-linux-x64": "Bun", ...onExpress },
    program: "express.mjs",
    command: () => ({ path: installedFile("bun", "@oven/bun-linux-x64/bin/bun"), args: ["run"] }),
  },
  {
    name: "deno",
    shows: { "@deno/linux-x64-glibc": "Deno", ...onExpress },
    program: "express.mjs",
    command: () => ({
      path: installedFile("deno", "@deno/linux-x64-glibc/deno"),
      args: ["run", "--allow-all", "--node-modules-dir=manual", "--no-lock"],
    }),
  },
];
