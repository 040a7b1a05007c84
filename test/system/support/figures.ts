import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../results/", import.meta.url));

/**
 * Prints figures, and keeps them in `results/` when SESSION_TEST_RECORD asks for it (`npm run test:system --
 * --record`).
 */
export function report(name: string, figures: Record<string, unknown>): void {
  console.log(`${name}: ${JSON.stringify(figures)}`);
  if (!process.env.SESSION_TEST_RECORD) return;
  mkdirSync(folder, { recursive: true });
  const file = `${folder}${name}.json`;
  const about = { date: new Date().toISOString().slice(0, 10), node: process.version, cpus: cpus().length };
  writeFileSync(file, `${JSON.stringify({ ...about, ...figures }, null, 2)}\n`);
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
