import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../package/documents.js";

/** What a run found for one stack. */
export interface Result {
  readonly stack: string;
  /** The versions of its packages by the names that readers know, the framework first. */
  readonly versions: ReadonlyMap<string, string>;
  /** What passed. */
  readonly checks: ReadonlySet<string>;
}

/** The checks that the page shows in columns. */
export const CHECKS = ["sign-in", "overlapping requests", "sign-out", "outage"] as const;

/** Where a page holds what the tests write. */
const START = "<!-- frameworks:start -->";
const END = "<!-- frameworks:end -->";

/** The tables with their pages, by the path from the root of the repository. */
export function tablesOf(results: readonly Result[]): Map<string, string> {
  return new Map([
    ["README.md", shortTable(results)],
    ["packages/core/docs/frameworks.md", longTable(results)],
  ]);
}

/** The table as the page has it now. */
export async function writtenTable(page: string): Promise<string> {
  const { table } = split(await readFile(join(root, page), "utf8"), page);
  return table;
}

export async function writeTable(page: string, table: string): Promise<void> {
  const { before, after } = split(await readFile(join(root, page), "utf8"), page);
  await writeFile(join(root, page), `${before}${START}\n\n${table}\n\n${END}${after}`);
}

function split(text: string, page: string): { before: string; table: string; after: string } {
  const [before, rest] = text.split(START);
  const [table, after] = rest?.split(END) ?? [];
  if (before === undefined || table === undefined || after === undefined) {
    throw new Error(`${page} has no place for the table: ${START} … ${END}`);
  }
  return { before, table: table.trim(), after };
}

function shortTable(results: readonly Result[]): string {
  const versions = new Map<string, Set<string>>();
  for (const result of results) {
    for (const [name, version] of result.versions) {
      versions.set(name, (versions.get(name) ?? new Set()).add(version));
    }
  }
  const text = (name: string) => `${name} ${[...(versions.get(name) ?? [])].sort(byVersion).join("/")}`;
  const rows = [
    ["Express", ["Express", "express-session", "passport", "connect-flash", "csrf-sync", "Socket.IO"]],
    ["Koa", ["Koa", "koa-session"]],
    ["others", ["NestJS", "Fastify", "@fastify/session", "Jest", "Bun", "Deno"]],
  ] as const;
  const lines = rows.map(([row, names]) => `| ${row} | ${names.map(text).join(", ")} |`);
  return ["| for | versions |", "|---|---|", ...lines].join("\n");
}

function longTable(results: readonly Result[]): string {
  const rows = results.map(({ versions, checks }) => {
    const all = [...versions].map(([name, version]) => `${name} ${version}`);
    const others = [...checks].filter((check) => !(CHECKS as readonly string[]).includes(check));
    const cells = CHECKS.map((check) => (checks.has(check) ? "yes" : ""));
    return `| ${all.join(", ")} | ${[...cells, others.join(", ")].join(" | ")} |`;
  });
  const head = ["with", ...CHECKS, "also"];
  return [`| ${head.join(" | ")} |`, `|${"---|".repeat(head.length)}`, ...rows].join("\n");
}

function byVersion(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
