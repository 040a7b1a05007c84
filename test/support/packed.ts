import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inject } from "vitest";
import { packAll } from "../package/pack.mjs";
import { until } from "./wait.js";

/** Time to pack the packages, in ms. */
export const PACKING = 300_000;

interface Outcome {
  readonly tarballs?: Record<string, string>;
  readonly error?: string;
}

/**
 * The packages as they would be published: the first test of a run that asks for them packs them, for all files.
 * @returns the tarball's path by the package's name
 */
export async function packed(): Promise<Record<string, string>> {
  const folder = inject("packedFolder");
  const outcome = join(folder, "outcome.json");
  const isFirst = await mkdir(join(folder, "tarballs")).then(
    () => true,
    () => false,
  );
  if (isFirst) {
    await writeFile(`${outcome}.part`, JSON.stringify(await pack(join(folder, "tarballs"))));
    await rename(`${outcome}.part`, outcome);
  }
  await until("the packed packages", () => existsSync(outcome), PACKING);
  const { tarballs, error } = JSON.parse(await readFile(outcome, "utf8")) as Outcome;
  if (!tarballs) throw new Error(error);
  return tarballs;
}

async function pack(folder: string): Promise<Outcome> {
  try {
    return { tarballs: await packAll(folder) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}
