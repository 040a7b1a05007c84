import type { KeyConflict } from "../options.js";

export interface MergeRules {
  /** Two values are the same when they have the same text; `undefined` stands for a key that is not there. */
  readonly textOf: (key: string, value: unknown) => string | Promise<string>;
  /** Decides about a key that was changed on both sides. */
  readonly resolve: (key: string, conflict: KeyConflict) => unknown;
}

export interface Merged {
  readonly data: Record<string, unknown>;
  /** Whether the result is anything but ours. */
  readonly differs: boolean;
}

/**
 * Three-way merge of the top-level keys. A key that only one side has changed, added or removed is taken from that
 * side; values are never merged inside. The keys keep the order of ours; new ones of theirs follow.
 */
export async function merge(
  base: Record<string, unknown>,
  ours: Record<string, unknown>,
  theirs: Record<string, unknown>,
  { textOf, resolve }: MergeRules,
): Promise<Merged> {
  const entries: [string, unknown][] = [];
  let differs = false;
  for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    const versions = { base: own(base, key), ours: own(ours, key), theirs: own(theirs, key) };
    const before = await textOf(key, versions.base);
    const our = await textOf(key, versions.ours);
    const their = await textOf(key, versions.theirs);

    let value = versions.ours;
    if (our === before) value = versions.theirs;
    else if (their !== before) value = await resolve(key, versions);

    if (value !== undefined) entries.push([key, value]);
    if (value !== versions.ours && (await textOf(key, value)) !== our) differs = true;
  }
  // Not by assignment, which would set the prototype for a key `__proto__`.
  return { data: Object.fromEntries(entries), differs };
}

function own(data: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(data, key) ? data[key] : undefined;
}
