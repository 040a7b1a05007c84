import { readFileSync } from "node:fs";

/** An entry as a version of the store wrote it to a bucket, and what it means. */
export interface Golden {
  readonly id?: string;
  readonly user?: string;
  /** Its key in a bucket without a prefix. */
  readonly key: string;
  readonly headers: Record<string, string>;
  /** As text; in base64 where the entry is encrypted. */
  readonly value: string;
  readonly metadata: object;
  readonly data?: object;
  readonly encryption?: { readonly keys: [{ id: string; key: string }]; readonly userKeys: [string] };
}

export function readGolden(name: string): Golden {
  return JSON.parse(readFileSync(new URL(`golden-${name}.json`, import.meta.url), "utf8")) as Golden;
}
