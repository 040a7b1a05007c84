import { readFile } from "node:fs/promises";

export interface Permissions {
  readonly publish: string[];
  readonly subscribe: string[];
}

const text = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

/** The `authorization` block of the core's README. */
export async function configurationOfReadme(): Promise<string> {
  const block = /```conf\n([^`]*)```/.exec(await text("packages/core/README.md"))?.[1];
  if (!block) throw new Error("There is no configuration in packages/core/README.md");
  return block;
}

/** What that block allows. */
export async function permissionsOfReadme(): Promise<Permissions> {
  const block = (await configurationOfReadme()).replace(/#.*/g, "");
  const list = (kind: string) =>
    [...(new RegExp(`${kind}: \\[([^\\]]*)\\]`).exec(block)?.[1] ?? "").matchAll(/"([^"]+)"/g)].map(
      ([, subject = ""]) => subject,
    );
  return { publish: list("publish"), subscribe: list("subscribe") };
}

/** What the first page lists, in its own words. */
export async function permissionsOfFrontPage(): Promise<Permissions> {
  const block = /```\n(publish: [\s\S]*?)```/.exec(await text("README.md"))?.[1] ?? "";
  const [publish = "", subscribe = ""] = block.split("subscribe:");
  const subjects = (part: string) => part.match(/[\w$-]+(?:\.[\w$>-]+)+/g) ?? [];
  return { publish: subjects(publish), subscribe: subjects(subscribe) };
}
