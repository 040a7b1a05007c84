import { readFile } from "node:fs/promises";

export interface Permissions {
  readonly publish: string[];
  readonly subscribe: string[];
}

const page = new URL("../../packages/core/docs/operating.md", import.meta.url);

/** The `authorization` block of the page on operating. */
export async function configurationOfReadme(): Promise<string> {
  const block = /```conf\n([^`]*)```/.exec(await readFile(page, "utf8"))?.[1];
  if (!block) throw new Error("There is no configuration in packages/core/docs/operating.md");
  return block;
}

/** What that block allows. */
export async function permissionsOfReadme(): Promise<Permissions> {
  return permissionsIn(await configurationOfReadme());
}

/** What a configuration allows the application. */
export function permissionsIn(configuration: string): Permissions {
  const block = configuration.replace(/#.*/g, "");
  const list = (kind: string) =>
    [...(new RegExp(`${kind}: \\[([^\\]]*)\\]`).exec(block)?.[1] ?? "").matchAll(/"([^"]+)"/g)].map(
      ([, subject = ""]) => subject,
    );
  return { publish: list("publish"), subscribe: list("subscribe") };
}
