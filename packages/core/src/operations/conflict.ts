import { isDeepStrictEqual } from "node:util";
import type { Context } from "../context.js";
import { SessionStoreError } from "../errors.js";
import { MARK } from "../format/migration-mark.js";
import { isSame } from "../format/serializer.js";
import type { KeyConflict, SessionStoreOptions } from "../options.js";
import { deserializeData, ownTurn, resolveKey, serializeData, textOfKey } from "./application.js";
import { merge } from "./merge.js";

/** Data and what they serialise to. */
export interface Content<T extends object> {
  readonly data: T;
  readonly value: Uint8Array;
}

/** The two sides of a conflict, and what both come from. */
export interface Conflict<T extends object> {
  readonly ours: Content<T>;
  /** What the holder of our data was given. */
  readonly base: Uint8Array;
  readonly theirs: Uint8Array;
  /** Whether our own write may be part of theirs: its answer was lost. */
  readonly mayIncludeOurs: boolean;
  readonly onConflict: SessionStoreOptions["onConflict"];
}

/**
 * What is to be stored in place of what another request has stored.
 * @throws `ERR_SESSION_CONFLICT` with `onConflict: "error"`
 */
export async function reconcile<T extends object>(
  context: Context,
  conflict: Conflict<T>,
  deadline: number,
): Promise<Content<T>> {
  const { ours, base, theirs, onConflict } = conflict;
  // Their write was a touch: there is nothing to merge.
  if (isSame(theirs, base) || onConflict === "overwrite") return ours;
  if (onConflict === "error") {
    throw new SessionStoreError(
      "ERR_SESSION_CONFLICT",
      "The session was changed by another request since it was loaded.",
    );
  }
  return mergeContents(context, conflict, deadline);
}

/**
 * Merges theirs into ours. Gives ours itself where nothing is taken from theirs. All three are read from their
 * bytes: the caller's objects may change meanwhile.
 */
async function mergeContents<T extends object>(
  context: Context,
  { ours, base, theirs, mayIncludeOurs }: Conflict<T>,
  deadline: number,
): Promise<Content<T>> {
  const read = (value: Uint8Array) => deserializeData<Record<string, unknown>>(context, value, deadline);
  const [before, our, their] = [await read(base), await read(ours.value), await read(theirs)];
  const { data, differs } = await merge(before, our, their, {
    textOf: (key, value) => textOfKey(context, key, value, deadline),
    resolve: (key, versions) =>
      // The same value on both sides may be our own write, which is not to be counted twice. A migration's mark is
      // nothing of the application.
      key === MARK || (mayIncludeOurs && isDeepStrictEqual(versions.ours, versions.theirs))
        ? versions.ours
        : resolveKey(context, key, versions as KeyConflict, deadline),
  });
  if (!differs) return ours;
  await ownTurn(context, theirs.length, deadline);
  return { data: data as T, value: await serializeData(context, data, deadline) };
}
