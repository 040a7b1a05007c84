import { UsageError } from "../exit.js";
import type { Values } from "./arguments.js";

const DURATIONS: { readonly [unit: string]: number } = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const SIZES: { readonly [unit: string]: number } = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/**
 * An option's duration in ms, such as `90s`, `15m`, `1h30m`, `7d`.
 * @throws UsageError for anything else
 */
export function durationIn(values: Values, name: string): number | undefined {
  const text = values.text(name);
  if (text === undefined) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  const ms = parts.reduce(
    (sum, [, number, unit]) => sum + Number(number) * (DURATIONS[unit as string] ?? 0),
    0,
  );
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text && ms > 0) return ms;
  throw new UsageError(`Expected --${name} to be a duration such as 30s, 15m, 2h or 7d`);
}

/**
 * An option's size in bytes, such as `512MiB`, `10GB` or `1000000`.
 * @throws UsageError for anything else
 */
export function sizeIn(values: Values, name: string): number | undefined {
  const text = values.text(name);
  if (text === undefined) return undefined;
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text) ?? [];
  const factor = Object.hasOwn(SIZES, unit.toLowerCase()) ? SIZES[unit.toLowerCase()] : undefined;
  const bytes = Math.round(Number(number) * (factor ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new UsageError(`Expected --${name} to be a size such as 512MiB or 10GB`);
}
