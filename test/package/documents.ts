import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** A page of Markdown. */
export interface Page {
  /** Path from the root of the repository. */
  readonly path: string;
  readonly text: string;
}

/** A program on a page. */
export interface Program {
  /** The page and the heading above it, numbered where there are several. */
  readonly name: string;
  readonly source: string;
}

/** Every page that is written for users and contributors. */
export async function pages(): Promise<Page[]> {
  const folders = ["", "packages/*", "packages/core/docs", "examples", "examples/*", "examples/demo/*"];
  const paths = (await Promise.all(folders.map(pagesIn))).flat();
  return Promise.all(paths.map(async (path) => ({ path, text: await readFile(join(root, path), "utf8") })));
}

/** The programs in JavaScript on a page. */
export function programsOn({ path, text }: Page): Program[] {
  const counts = new Map<string, number>();
  return blocksIn(text, "js").map(({ heading, source }) => {
    const count = (counts.get(heading) ?? 0) + 1;
    counts.set(heading, count);
    return { name: `${path}: ${heading}${count > 1 ? ` ${count}` : ""}`, source };
  });
}

/** The fenced blocks of a language, with the headings above them. */
export function blocksIn(text: string, language: string): { heading: string; source: string }[] {
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))];
  return blocks.map(({ index, 1: source = "" }) => {
    const before = withoutBlocks(text.slice(0, index));
    return { heading: [...before.matchAll(/^#+ (.+)$/gm)].at(-1)?.[1] ?? "", source };
  });
}

/** The targets of the links on a page. */
export function linksOn({ text }: Page): string[] {
  const plain = withoutBlocks(text);
  return [...plain.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
}

/** The names under which the headings of a page can be linked to. */
export function anchorsOn({ text }: Page): string[] {
  const headings = [...withoutBlocks(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

/** The rows of the tables under a heading, or of the whole page, by their first cells without code marks. */
export function rowNames(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/^\| (`[^|]+?) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
  );
}

function withoutBlocks(text: string): string {
  return text.replace(/^```[\s\S]*?(^```|$(?![\s\S]))/gm, "");
}

async function pagesIn(pattern: string): Promise<string[]> {
  if (pattern.endsWith("/*")) {
    const parent = pattern.slice(0, -2);
    const entries = await readdir(join(root, parent), { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${parent}/${name}`);
    return (await Promise.all(folders.map(pagesIn))).flat();
  }
  const names = await readdir(join(root, pattern));
  return names.filter((name) => name.endsWith(".md")).map((name) => join(pattern, name));
}
