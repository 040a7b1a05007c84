import { type Encryption, resolveEncryption } from "./format/encryption-keys.js";
import { isBucketName, isPrefix } from "./format/keys.js";
import { jsonSerializer, type SessionSerializer } from "./format/serializer.js";
import { MOST_SHARDS } from "./format/shards.js";
import type { CacheOptions, Resolve, SessionStoreOptions } from "./options.js";

/** Settings of the near cache, see {@link CacheOptions}. */
export interface CacheLimits {
  readonly max: number;
  readonly maxBytes: number;
  readonly maxStale: number;
}

const DAY = 86_400_000;

/** Longest duration that fits a stream's configuration, which counts nanoseconds in 63 bits: about 292 years. */
const MAX_DURATION = 9_000_000_000_000;

/** Longest delay of a timer: 2³¹ − 1 ms. */
const MAX_TIMEOUT = 2_147_483_647;

/** The options of a store with every default filled in. */
export interface ResolvedOptions {
  readonly bucket: string;
  readonly shards: number;
  readonly domain: string | undefined;
  readonly apiPrefix: string | undefined;
  readonly prefix: string | undefined;
  readonly ttl: number;
  /** `undefined` = as the bucket allows. */
  readonly maxTtl: number | undefined;
  readonly onTtlTooLong: "cut" | "error";
  readonly absoluteTtl: number | undefined;
  readonly touchAfter: number | undefined;
  readonly timeout: number;
  readonly reads: "any" | "leader";
  readonly maxLeaderSilence: number;
  readonly onConflict: "merge" | "overwrite" | "error";
  readonly resolve: Resolve;
  readonly user: ((data: object) => unknown) | undefined;
  readonly maxSessionsPerUser: number | undefined;
  readonly onLimit: "end-oldest" | "refuse";
  readonly cache: CacheLimits | undefined;
  readonly serializer: SessionSerializer;
  readonly encryption: Encryption | undefined;
  readonly createBucket: boolean;
  readonly updateBucket: boolean;
  readonly republish: boolean;
  /** What the caller asked of the bucket; `undefined` where they left it open. */
  readonly asked: {
    readonly replicas: number | undefined;
    readonly storage: "file" | "memory" | undefined;
    readonly persist: "sync" | "async" | undefined;
    readonly maxBytes: number | undefined;
    readonly compression: boolean | undefined;
    readonly placement: SessionStoreOptions["placement"];
  };
}

/** What is expected of an option's value, and whether the value meets it. */
interface Check {
  readonly expected: string;
  readonly test: (value: unknown) => boolean;
}

const CHECKS: { readonly [name in keyof Required<SessionStoreOptions>]: Check } = {
  bucket: {
    expected: "a name of letters, digits, - and _",
    test: (value) => typeof value === "string" && isBucketName(value),
  },
  shards: {
    expected: `a whole number from 1 to ${MOST_SHARDS}`,
    test: (value) => isWholeNumber(value) && value <= MOST_SHARDS,
  },
  domain: {
    expected: "a name without spaces, dots, * and >",
    test: (value) => typeof value === "string" && /^[^\s.*>]+$/.test(value),
  },
  apiPrefix: {
    expected: "the start of a subject, without spaces, * and >",
    test: (value) => typeof value === "string" && /^[^\s.*>]+(\.[^\s.*>]+)*\.?$/.test(value),
  },
  prefix: {
    expected: "letters, digits, - and _, in parts joined by dots",
    test: (value) => typeof value === "string" && isPrefix(value),
  },
  ttl: duration(1),
  maxTtl: duration(1000),
  onTtlTooLong: oneOf("cut", "error"),
  absoluteTtl: duration(1),
  touchAfter: duration(0),
  timeout: duration(1, MAX_TIMEOUT),
  reads: oneOf("any", "leader"),
  maxLeaderSilence: duration(1),
  onConflict: oneOf("merge", "overwrite", "error"),
  resolve: aFunction(),
  user: aFunction(),
  maxSessionsPerUser: wholeNumber("a whole number"),
  onLimit: oneOf("end-oldest", "refuse"),
  cache: {
    expected:
      "a boolean, or an object with `max`, `maxBytes` (whole numbers) and `maxStale` (ms), each at least 1",
    test: isCache,
  },
  serializer: { expected: "an object with the functions `stringify` and `parse`", test: isSerializer },
  // Checked where the keys are derived, with messages that quote nothing of it.
  encryption: { expected: "", test: () => true },
  createBucket: aBoolean(),
  updateBucket: aBoolean(),
  replicas: {
    expected: "a whole number from 1 to 5",
    test: (value) => isWholeNumber(value) && value <= 5,
  },
  storage: oneOf("file", "memory"),
  persist: oneOf("sync", "async"),
  maxBytes: wholeNumber("a whole number of bytes"),
  compression: aBoolean(),
  placement: {
    expected: "an object with `cluster` (string) or `tags` (array of strings)",
    test: isPlacement,
  },
  republish: aBoolean(),
};

/**
 * Checks the options and fills in the defaults, on a copy.
 * @throws TypeError naming the option and what was expected
 */
export function resolveOptions(given: SessionStoreOptions = {}): ResolvedOptions {
  const options = checkedCopy(given);
  checkTogether(options);
  const { maxTtl, cache, serializer, encryption, placement } = options;
  return {
    bucket: options.bucket ?? "sessions",
    shards: options.shards ?? 1,
    domain: options.domain,
    apiPrefix: options.apiPrefix,
    prefix: options.prefix,
    ttl: options.ttl ?? Math.min(DAY, maxTtl ?? DAY),
    maxTtl,
    onTtlTooLong: options.onTtlTooLong ?? "cut",
    absoluteTtl: options.absoluteTtl,
    touchAfter: options.touchAfter,
    timeout: options.timeout ?? 2000,
    reads: options.reads ?? "any",
    maxLeaderSilence: options.maxLeaderSilence ?? 15_000,
    onConflict: options.onConflict ?? "merge",
    resolve: options.resolve ?? ((_key, { ours }) => ours),
    user: options.user,
    maxSessionsPerUser: options.maxSessionsPerUser,
    onLimit: options.onLimit ?? "end-oldest",
    cache: cache ? cacheLimits(cache === true ? {} : cache) : undefined,
    serializer: serializer ? boundSerializer(serializer) : jsonSerializer,
    encryption: encryption === undefined ? undefined : resolveEncryption(encryption),
    createBucket: options.createBucket ?? true,
    updateBucket: options.updateBucket ?? false,
    republish: options.republish ?? true,
    asked: {
      replicas: options.replicas,
      storage: options.storage,
      persist: options.persist,
      maxBytes: options.maxBytes,
      compression: options.compression,
      placement: placement && structuredClone(placement),
    },
  };
}

function checkedCopy(given: SessionStoreOptions): SessionStoreOptions {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new TypeError(`Expected the options to be an object, got ${describe(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(CHECKS, name)) continue;
    throw new TypeError(`Unknown option \`${name}\`. The options are ${Object.keys(CHECKS).join(", ")}.`);
  }
  const options: SessionStoreOptions = {};
  for (const [name, { expected, test }] of Object.entries(CHECKS)) {
    // Read once and by name: the value may be inherited, or come from a getter.
    const value: unknown = Reflect.get(given, name);
    if (value !== undefined && !test(value)) {
      throw new TypeError(`Expected \`${name}\` to be ${expected}, got ${describe(value)}`);
    }
    Reflect.set(options, name, value);
  }
  return options;
}

/** Options that contradict each other. */
function checkTogether(options: SessionStoreOptions): void {
  const { ttl, maxTtl } = options;
  if (ttl !== undefined && maxTtl !== undefined && ttl > maxTtl) {
    throw new TypeError(`Expected \`ttl\` to be at most \`maxTtl\` (${maxTtl} ms), got ${ttl}`);
  }
  if (options.domain !== undefined && options.apiPrefix !== undefined) {
    throw new TypeError("Expected `domain` or `apiPrefix`, got both: a domain stands for its API prefix");
  }
  if (options.maxSessionsPerUser !== undefined && !options.user) {
    throw new TypeError("Expected `user` to be given with `maxSessionsPerUser`: it names a session's user");
  }
  if (options.cache && options.republish === false) {
    throw new TypeError(
      "Expected `republish` not to be false with `cache`: the cache requires the change feed",
    );
  }
  if (options.persist === "async" && (options.replicas ?? 1) > 1) {
    throw new TypeError('Expected `replicas` to be 1 with `persist: "async"`');
  }
}

function cacheLimits({ max, maxBytes, maxStale }: CacheOptions): CacheLimits {
  return { max: max ?? 10_000, maxBytes: maxBytes ?? 64 * 1024 * 1024, maxStale: maxStale ?? 1000 };
}

/** Later changes of the caller's object have no effect; its methods keep their `this`. */
function boundSerializer(serializer: SessionSerializer): SessionSerializer {
  return { stringify: serializer.stringify.bind(serializer), parse: serializer.parse.bind(serializer) };
}

function duration(least: number, most = MAX_DURATION): Check {
  return {
    expected: `a number of milliseconds from ${least} to ${most}`,
    test: (value) => typeof value === "number" && value >= least && value <= most,
  };
}

function wholeNumber(what: string): Check {
  return { expected: `${what}, at least 1`, test: isWholeNumber };
}

function oneOf(...values: string[]): Check {
  const expected = values.map((value) => `"${value}"`).join(" or ");
  return { expected, test: (value) => values.some((one) => one === value) };
}

function aBoolean(): Check {
  return { expected: "a boolean", test: (value) => typeof value === "boolean" };
}

function aFunction(): Check {
  return { expected: "a function", test: (value) => typeof value === "function" };
}

function isWholeNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isPlacement(value: unknown): boolean {
  if (!isPlainObject(value)) return false;
  const { cluster, tags, ...others } = value;
  return (
    Object.keys(others).length === 0 &&
    (cluster === undefined || typeof cluster === "string") &&
    (tags === undefined || (Array.isArray(tags) && tags.every((tag) => typeof tag === "string")))
  );
}

function isCache(value: unknown): boolean {
  if (typeof value === "boolean") return true;
  if (!isPlainObject(value)) return false;
  const { max = 1, maxBytes = 1, maxStale = 1, ...others } = value;
  return (
    Object.keys(others).length === 0 &&
    isWholeNumber(max) &&
    isWholeNumber(maxBytes) &&
    duration(1).test(maxStale)
  );
}

function isSerializer(value: unknown): boolean {
  const { stringify, parse } = (value ?? {}) as Record<string, unknown>;
  return typeof stringify === "function" && typeof parse === "function";
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "function") return "a function";
  if (value === null || typeof value !== "object") return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}
