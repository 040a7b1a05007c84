import { SessionStoreError } from "./errors.js";
import { merge } from "./merge.js";
import type { ResolvedOptions } from "./options.js";
import { deserialize, isSame, serialize, textOf } from "./serializer.js";

/** Data and what they serialise to. */
export interface Content<T extends object> {
  readonly data: T;
  readonly value: Uint8Array;
}

/**
 * What is to be stored in place of what others have stored, by what both were before.
 * @throws `ERR_SESSION_CONFLICT` with `onConflict: "error"`
 */
export async function settle<T extends object>(
  options: ResolvedOptions,
  ours: Content<T>,
  base: Uint8Array,
  theirs: Uint8Array,
): Promise<Content<T>> {
  // Their write was a touch: there is nothing to settle.
  if (isSame(theirs, base) || options.onConflict === "overwrite") return ours;
  if (options.onConflict === "error") {
    throw new SessionStoreError(
      "ERR_SESSION_CONFLICT",
      "The session was changed by others since it was loaded.",
    );
  }
  return mergeStored(options, ours, base, theirs);
}

/**
 * Merges what is stored into ours, by what both were before. Gives ours itself where nothing of theirs is to be
 * taken. All three are read from their bytes: what the caller holds may change while this goes on.
 */
export async function mergeStored<T extends object>(
  { serializer, resolve }: ResolvedOptions,
  ours: Content<T>,
  base: Uint8Array,
  theirs: Uint8Array,
): Promise<Content<T>> {
  const [before, our, their] = await Promise.all(
    [base, ours.value, theirs].map((value) => deserialize<Record<string, unknown>>(value, serializer)),
  );
  const textOfKey = async (key: string, value: unknown) =>
    value === undefined ? "" : textOf(Object.fromEntries([[key, lasting(key, value)]]), serializer);
  const how = { textOf: textOfKey, resolve };
  const { data, differs } = await merge(before ?? {}, our ?? {}, their ?? {}, how);
  if (!differs) return ours;
  return { data: data as T, value: await serialize(data, serializer) };
}

/** A cookie's `expires` moves with every request; where it has a maxAge that is no change. */
function lasting(key: string, value: unknown): unknown {
  if (key !== "cookie" || typeof value !== "object" || value === null) return value;
  const { expires, ...cookie } = value as { expires?: unknown; originalMaxAge?: unknown };
  return typeof cookie.originalMaxAge === "number" ? cookie : value;
}
