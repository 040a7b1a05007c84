import { type Encryption, resolveEncryption } from "./encryption-keys.js";
import { isBucketName, isPrefix } from "./key.js";
import type { Resolve } from "./merge.js";
import type { CacheLimits } from "./near-cache.js";
import { jsonSerializer } from "./serializer.js";
import type { SessionSerializer, SessionStoreOptions } from "./store-options.js";

const CACHE: CacheLimits = { max: 10_000, maxStale: 1000 };

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Longest duration that fits a stream's configuration, which counts in nanoseconds of 63 bits: about 292 years. */
const LONGEST = 9_000_000_000_000;

/** The options of a store with every default filled in. */
export interface ResolvedOptions {
  readonly bucket: string;
  readonly prefix: string | undefined;
  readonly ttl: number;
  readonly maxTtl: number;
  readonly absoluteTtl: number | undefined;
  readonly touchAfter: number | undefined;
  readonly timeout: number;
  /** What the caller asked of the bucket; `undefined` where they left it open. */
  readonly asked: {
    readonly replicas: number | undefined;
    readonly storage: "file" | "memory" | undefined;
    readonly maxBytes: number | undefined;
    readonly compression: boolean | undefined;
    readonly placement: { cluster?: string; tags?: string[] } | undefined;
  };
  readonly createBucket: boolean;
  readonly updateBucket: boolean;
  readonly serializer: SessionSerializer;
  readonly onConflict: "merge" | "overwrite" | "error";
  readonly resolve: Resolve;
  readonly cache: CacheLimits | undefined;
  readonly user: ((data: object) => unknown) | undefined;
  readonly maxSessionsPerUser: number | undefined;
  readonly onLimit: "end-oldest" | "refuse";
  readonly encryption: Encryption | undefined;
}

type Check = (value: unknown) => string | undefined;

/** For each option what is expected of it; the check answers with that text when the value does not fit. */
const CHECKS: { readonly [name in keyof Required<SessionStoreOptions>]: Check } = {
  bucket: fits("a name of letters, digits, - and _", (v) => typeof v === "string" && isBucketName(v)),
  prefix: fits(
    "letters, digits, - and _, in parts joined by dots",
    (v) => typeof v === "string" && isPrefix(v),
  ),
  ttl: duration(1),
  maxTtl: duration(1000),
  absoluteTtl: duration(1),
  touchAfter: duration(0),
  timeout: fits(
    "a number of milliseconds from 1 to 2147483647",
    (v) => isNumber(v) && v >= 1 && v <= 2_147_483_647,
  ),
  replicas: fits("a whole number from 1 to 5", (v) => Number.isInteger(v) && isNumber(v) && v >= 1 && v <= 5),
  storage: fits('"file" or "memory"', (v) => v === "file" || v === "memory"),
  maxBytes: fits(
    "a whole number of bytes, at least 1",
    (v) => Number.isSafeInteger(v) && isNumber(v) && v >= 1,
  ),
  compression: fits("a boolean", isBoolean),
  placement: fits("an object with `cluster` (string) or `tags` (array of strings)", isPlacement),
  createBucket: fits("a boolean", isBoolean),
  updateBucket: fits("a boolean", isBoolean),
  onConflict: fits(
    '"merge", "overwrite" or "error"',
    (v) => v === "merge" || v === "overwrite" || v === "error",
  ),
  resolve: fits("a function", (v) => typeof v === "function"),
  user: fits("a function", (v) => typeof v === "function"),
  maxSessionsPerUser: fits(
    "a whole number, at least 1",
    (v) => Number.isSafeInteger(v) && isNumber(v) && v >= 1,
  ),
  onLimit: fits('"end-oldest" or "refuse"', (v) => v === "end-oldest" || v === "refuse"),
  cache: fits(
    "a boolean, or an object with `max` (a whole number) and `maxStale` (ms), both at least 1",
    isCache,
  ),
  serializer: fits("an object with the functions `stringify` and `parse`", isSerializer),
  // Checked where the keys are derived, by messages that quote nothing of it.
  encryption: () => undefined,
};

/**
 * @throws TypeError naming the option and what was expected.
 */
export function resolveOptions(given: SessionStoreOptions = {}): ResolvedOptions {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new TypeError(`Expected the options to be an object, got ${describe(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(CHECKS, name)) continue;
    throw new TypeError(`Unknown option \`${name}\`. The options are ${Object.keys(CHECKS).join(", ")}.`);
  }
  const options: SessionStoreOptions = {};
  for (const [name, check] of Object.entries(CHECKS)) {
    // Once, by name: it may be inherited, or come from a getter.
    const value: unknown = Reflect.get(given, name);
    const expected = value === undefined ? undefined : check(value);
    if (expected !== undefined) {
      throw new TypeError(`Expected \`${name}\` to be ${expected}, got ${describe(value)}`);
    }
    Reflect.set(options, name, value);
  }
  const maxTtl = options.maxTtl ?? 30 * DAY;
  const ttl = options.ttl ?? Math.min(DAY, maxTtl);
  if (ttl > maxTtl) {
    throw new TypeError(`Expected \`ttl\` to be at most \`maxTtl\` (${maxTtl} ms), got ${ttl}`);
  }
  if (options.maxSessionsPerUser !== undefined && !options.user) {
    throw new TypeError("Expected `user` to be given with `maxSessionsPerUser`: it names a session's user");
  }
  return {
    bucket: options.bucket ?? "sessions",
    prefix: options.prefix,
    ttl,
    maxTtl,
    absoluteTtl: options.absoluteTtl,
    touchAfter: options.touchAfter,
    timeout: options.timeout ?? 2000,
    asked: {
      replicas: options.replicas,
      storage: options.storage,
      maxBytes: options.maxBytes,
      compression: options.compression,
      placement: options.placement && structuredClone(options.placement),
    },
    createBucket: options.createBucket ?? true,
    updateBucket: options.updateBucket ?? false,
    serializer: options.serializer ? bound(options.serializer) : jsonSerializer,
    onConflict: options.onConflict ?? "merge",
    cache: options.cache ? { ...CACHE, ...defined(options.cache === true ? {} : options.cache) } : undefined,
    user: options.user,
    maxSessionsPerUser: options.maxSessionsPerUser,
    onLimit: options.onLimit ?? "end-oldest",
    encryption: options.encryption === undefined ? undefined : resolveEncryption(options.encryption),
    resolve: options.resolve ?? ((_key, { ours }) => ours),
  };
}

/** As it is now: what is put into the caller's object later has no effect. */
function bound(serializer: SessionSerializer): SessionSerializer {
  return { stringify: serializer.stringify.bind(serializer), parse: serializer.parse.bind(serializer) };
}

function fits(expected: string, test: (value: unknown) => boolean): Check {
  return (value) => (test(value) ? undefined : expected);
}

function duration(least: number): Check {
  return fits(
    `a number of milliseconds from ${least} to ${LONGEST}`,
    (v) => isNumber(v) && v >= least && v <= LONGEST,
  );
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

function isPlacement(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { cluster, tags, ...others } = value as Record<string, unknown>;
  return (
    Object.keys(others).length === 0 &&
    (cluster === undefined || typeof cluster === "string") &&
    (tags === undefined || (Array.isArray(tags) && tags.every((tag) => typeof tag === "string")))
  );
}

function isCache(value: unknown): boolean {
  if (isBoolean(value)) return true;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { max = 1, maxStale = 1, ...others } = value as Record<string, unknown>;
  return (
    Object.keys(others).length === 0 &&
    Number.isSafeInteger(max) &&
    isNumber(max) &&
    max >= 1 &&
    isNumber(maxStale) &&
    maxStale >= 1
  );
}

function defined<O extends object>(options: O): { [name in keyof O]?: Exclude<O[name], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [name in keyof O]?: Exclude<O[name], undefined> };
}

function isSerializer(value: unknown): boolean {
  const { stringify, parse } = (value ?? {}) as Record<string, unknown>;
  return typeof stringify === "function" && typeof parse === "function";
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value === null || typeof value !== "object") return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}
