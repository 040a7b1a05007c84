import { readFile } from "node:fs/promises";

/** The server configurations on a page of the documentation, in their order. */
export async function confBlocksOf(page: string): Promise<string[]> {
  const url = new URL(`../../packages/core/docs/${page}`, import.meta.url);
  return [...(await readFile(url, "utf8")).matchAll(/```conf\n([^`]*)```/g)].map(([, block = ""]) => block);
}
