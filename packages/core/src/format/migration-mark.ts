import { hash } from "node:crypto";

/**
 * The key under which both stores remember what a migration with processes of the release before has exchanged. It
 * does not begin with `_`, which koa-session would drop.
 */
export const MARK = "natsMigration";

/** Digest of each top-level key of a session. */
export type Digests = Readonly<Record<string, string>>;

/** In the old store: what it was given last. A process that knows the old store alone writes it back unread. */
export interface OldMark {
  readonly version: string;
  readonly keys: Digests;
}

/**
 * In this store: what was taken from the old one, by the version that its mark named then (empty: it had none). What
 * an old process writes later under the same version is compared with that.
 */
export type Taken = readonly (readonly [version: string, keys: Digests])[];

/** How a value of a key is compared; frameworks keep times in the cookie that nobody has changed. */
export type Comparable = (key: string, value: unknown) => unknown;

/** What an old process has changed; `"all"` = what it started from is not known, so all that it wrote counts. */
export type OldChanges = ReadonlyMap<string, unknown> | "all";

/** How many versions are remembered: requests to old processes that take longer than so many changes are rare. */
const VERSIONS = 3;

type Data = Readonly<Record<string, unknown>>;

/** The session without the mark, and the mark. */
export function unmarked<T extends object>(data: T): { readonly data: T; readonly mark: unknown } {
  if (!Object.hasOwn(data, MARK)) return { data, mark: undefined };
  const { [MARK]: mark, ...rest } = data as Data;
  return { data: rest as T, mark };
}

export function digestsOf(data: object, comparable: Comparable): Digests {
  const digests: [string, string][] = [];
  for (const [key, value] of Object.entries(data)) {
    if (key !== MARK && value !== undefined) digests.push([key, digest(comparable(key, value))]);
  }
  return Object.fromEntries(digests);
}

export function isSameDigests(one: Digests, other: Digests): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((key) => one[key] === other[key]);
}

/** The top-level keys that an old process has changed, added, or removed (`undefined`). */
export function changesOf(data: object, mark: unknown, taken: Taken, comparable: Comparable): OldChanges {
  const given = oldMarkIn(mark);
  const [, base] = taken.find(([version]) => version === (given?.version ?? "")) ?? ["", given?.keys];
  if (!base) return "all";
  const now = digestsOf(data, comparable);
  if (!given && isAllGone(base, now)) return "all";
  const changes = new Map<string, unknown>();
  for (const key of new Set([...Object.keys(now), ...Object.keys(base)])) {
    if (own(now, key) !== own(base, key)) changes.set(key, own(data as Data, key));
  }
  return changes;
}

/**
 * Whether nothing is left of what the application kept, and the mark neither: `ctx.session = {}` resets a session of
 * koa-session, whatever other processes have added. The cookie, and what begins with `_`, are the framework's.
 */
function isAllGone(base: Digests, now: Digests): boolean {
  const own = Object.keys(base).filter((key) => key !== "cookie" && !key.startsWith("_"));
  return own.length > 0 && own.every((key) => !Object.hasOwn(now, key));
}

/** What is remembered once these data were taken from the old store. */
export function takenWith(taken: Taken, data: object, mark: unknown, comparable: Comparable): Taken {
  const version = oldMarkIn(mark)?.version ?? "";
  const others = taken.filter(([other]) => other !== version);
  return [...others, [version, digestsOf(data, comparable)] as const].slice(-VERSIONS);
}

/** What this store remembers; nothing where it cannot be read. */
export function takenIn(mark: unknown): Taken {
  if (!Array.isArray(mark)) return [];
  return mark.filter(
    (pair): pair is [string, Digests] =>
      Array.isArray(pair) && typeof pair[0] === "string" && isRecord(pair[1]),
  );
}

function oldMarkIn(mark: unknown): OldMark | undefined {
  if (!isRecord(mark)) return undefined;
  const { version, keys } = mark;
  return typeof version === "string" && version !== "" && isRecord(keys)
    ? { version, keys: keys as Digests }
    : undefined;
}

/** The same for the same JSON, whatever the order of its keys: a `jsonb` column sorts them. */
function digest(value: unknown): string {
  return hash(
    "sha256",
    JSON.stringify(sorted(JSON.parse(JSON.stringify(value) ?? "null"))),
    "base64url",
  ).slice(0, 12);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own<V>(data: Readonly<Record<string, V>>, key: string): V | undefined {
  return Object.hasOwn(data, key) ? data[key] : undefined;
}
