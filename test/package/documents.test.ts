import { access, readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { SessionStore } from "nats-session-store";
import { beforeAll, describe, expect, test } from "vitest";
import { runNode } from "../support/run-program.js";
import { anchorsOn, linksOn, type Page, pages, root, rowNames } from "./documents.js";

let all: Page[];
let home: string;

beforeAll(async () => {
  all = await pages();
  const { repository } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  home = repository.url.replace(/^git\+(.*)\.git$/, "$1");
});

const pageAt = (path: string) => {
  const page = all.find((candidate) => candidate.path === path);
  if (!page) throw new Error(`There is no page ${path}`);
  return page;
};

test("every link to a file or a heading of this repository leads somewhere", async () => {
  const dead: string[] = [];
  for (const page of all) {
    for (const link of linksOn(page)) {
      const own = link.startsWith(`${home}/blob/main/`) ? link.slice(`${home}/blob/main/`.length) : undefined;
      if (own === undefined && /^\w+:/.test(link)) continue;
      const [path = "", anchor] = (own ?? link).split("#");
      const target = own === undefined ? normalize(join(dirname(page.path), path)) : path;
      const file = path === "" ? page.path : target;
      const isThere = await access(join(root, file)).then(
        () => true,
        () => false,
      );
      const isHeading = anchor === undefined || anchorsOn(pageAt(file)).includes(anchor);
      if (!isThere || !isHeading) dead.push(`${page.path}: ${link}`);
    }
  }
  expect(dead).toEqual([]);
});

test("the READMEs that npm shows link to nothing by a relative path", () => {
  for (const name of ["core", "express", "koa", "cli"]) {
    const links = linksOn(pageAt(`packages/${name}/README.md`));
    expect(links.filter((link) => !link.startsWith("https://"))).toEqual([]);
  }
});

test("the README has at most 700 words, programs and tables included", () => {
  const words = pageAt("README.md")
    .text.split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  expect(words.length).toBeLessThanOrEqual(700);
});

test("the packages and their READMEs name the repository of the root's package.json", async () => {
  const { stderr } = await runNode([join(root, "test/package/repository.mjs"), "--check"]);
  expect(stderr).toBe("");
});

describe("the page on options", () => {
  test("lists exactly the options that there are", () => {
    let message = "";
    try {
      new SessionStore({} as never, { unknown: true } as never);
    } catch (error) {
      message = (error as Error).message;
    }
    const names = /The options are (.*)\.$/.exec(message)?.[1]?.split(", ");
    expect(rowNames(pageAt("packages/core/docs/options.md").text).sort()).toEqual(names?.sort());
  });

  test("has every option of the table in the README", () => {
    const known = rowNames(pageAt("packages/core/docs/options.md").text);
    const section = /## Options\n([\s\S]*?)\n## /.exec(pageAt("README.md").text)?.[1] ?? "";
    const names = rowNames(section);
    expect(names).toHaveLength(8);
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
  });
});

describe("the page on operating", () => {
  test("lists every code of an error", async () => {
    const declared = await readFile(join(root, "packages/core/dist/errors.d.ts"), "utf8");
    const codes =
      /export type SessionErrorCode = ([^;]*);/.exec(declared)?.[1]?.match(/ERR_SESSION_\w+/g) ?? [];
    const listed = rowNames(pageAt("packages/core/docs/operating.md").text);
    expect(listed.filter((name) => name.startsWith("ERR_")).sort()).toEqual([...codes].sort());
  });
});

test("the README is read in three minutes", () => {
  const prose = pageAt("README.md")
    .text.replace(/^```[\s\S]*?^```/gm, "")
    .replace(/\]\([^)]*\)/g, "]");
  expect(prose.match(/[\p{L}\d]+/gu)?.length).toBeLessThan(700);
});
