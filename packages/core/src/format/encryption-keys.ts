import { createSecretKey, hkdfSync, KeyObject } from "node:crypto";
import type { UserSecret } from "./user-hash.js";

/** 32 random bytes: as they are, as a secret `KeyObject`, or in base64 or base64url. */
export type SecretBytes = Uint8Array | KeyObject | string;

/** A key to encrypt sessions with. */
export interface EncryptionKey {
  /** Stored beside each value: 1 to 64 letters, digits, `-` and `_`. Never reuse it for another key. */
  readonly id: string;
  /** 32 random bytes: as they are, as a secret `KeyObject`, or in base64 or base64url. */
  readonly key: SecretBytes;
}

/**
 * Encryption at rest (AES-256-GCM) and secrets for hashed user names. At least one of `keys` and `userKeys` is
 * required. Every process that uses the bucket needs the same keys.
 *
 * @example
 * ```ts
 * // To rotate: give every process the new key in second place, then move it to the first.
 * encryption: {
 *   keys: [
 *     { id: "2027-01", key: process.env.SESSION_KEY_2027 },
 *     { id: "2026-01", key: process.env.SESSION_KEY_2026 },
 *   ],
 * }
 * ```
 */
export interface EncryptionOptions {
  /**
   * The first key encrypts, every key decrypts. A session moves to the first key at its next save or touch; a session
   * whose key is missing here rejects with `ERR_SESSION_KEY_UNKNOWN` and is not lost.
   * @default none: values are stored as plain text
   */
  readonly keys?: readonly EncryptionKey[] | undefined;
  /**
   * Secrets of 32 random bytes that hash user names in the bucket. User names can be guessed: without a secret they
   * are SHA-256, and a reader of the bucket can search it for a name. The first secret hashes new index entries; the
   * sessions of a user are looked up under every one and under SHA-256, and move to the first at their next write.
   *
   * In a bucket in use, every process must know a secret before one of them writes with it. To turn secrets on, give
   * every process `["sha256", secret]`, where `"sha256"` stands for no secret; then `[secret]`. To exchange one:
   * `[old, next]`, then `[next, old]`, and `[next]` when every session was written once, at the latest after `maxTtl`.
   * To turn them off: `["sha256", secret]` for as long, then nothing.
   * @default none: SHA-256
   */
  readonly userKeys?: readonly (SecretBytes | "sha256")[] | undefined;
  /**
   * Whether sessions that were stored before there were `keys` are read. With `false` they reject with
   * `ERR_SESSION_CORRUPT`. To start encrypting a bucket in use, set `true` until every session has been written once.
   * @default false
   */
  readonly allowPlain?: boolean | undefined;
}

/** A key in the form in which it is used: only subkeys, each for one purpose. */
export interface DerivedKey {
  readonly id: string;
  /** AES-256 key for the values. */
  readonly values: KeyObject;
}

/** The option `encryption`, checked and derived. */
export interface Encryption {
  /** The first one encrypts; empty = values are plain. */
  readonly keys: readonly DerivedKey[];
  readonly allowPlain: boolean;
  /** What user names are hashed with, the current secret first. */
  readonly userSecrets: readonly UserSecret[];
}

const KEY_BYTES = 32;

/** 32 bytes in base64 or base64url. */
const BASE64_KEY = /^[A-Za-z0-9+/_-]{43}=?$/;

/** It stands in a header and in error messages, so no character may need escaping there. */
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Checks the option and derives the subkeys.
 * @throws TypeError with what was expected; a key, or the value in its place, is never quoted
 */
export function resolveEncryption(given: EncryptionOptions): Encryption {
  const { keys, userKeys, allowPlain, ...others } = objectIn(given, "`encryption`");
  refuseOthers(others, "`encryption`", "`keys`, `userKeys` and `allowPlain`");
  if (keys === undefined && userKeys === undefined)
    throw expected("`encryption`", "given `keys` or `userKeys`");
  if (allowPlain !== undefined) {
    if (typeof allowPlain !== "boolean") throw expected("`encryption.allowPlain`", "a boolean");
    // A deployment that forgets the keys must not store plain sessions in silence.
    if (keys === undefined)
      throw expected("`encryption.allowPlain`", "given together with `encryption.keys`");
  }
  const derived = listIn(keys, "`encryption.keys`", "`{ id, key }`").map(derive);
  if (new Set(derived.map(({ id }) => id)).size < derived.length) {
    throw expected("`encryption.keys`", "keys with different ids");
  }
  const secrets = listIn(userKeys, "`encryption.userKeys`", `secret of ${KEY_BYTES} bytes`);
  return {
    keys: derived,
    allowPlain: keys === undefined || allowPlain === true,
    userSecrets: secrets.map((secret, n) =>
      secret === "sha256" ? secret : createSecretKey(bytesIn(secret, `\`encryption.userKeys[${n}]\``)),
    ),
  };
}

export function isKeyId(value: string): boolean {
  return KEY_ID.test(value);
}

function derive(given: unknown, index: number): DerivedKey {
  const name = `\`encryption.keys[${index}]\``;
  const { id, key, ...others } = objectIn(given, name);
  refuseOthers(others, name, "`id` and `key`");
  if (typeof id !== "string" || !isKeyId(id)) {
    throw expected(`\`encryption.keys[${index}].id\``, "1 to 64 letters, digits, - and _");
  }
  const bytes = bytesIn(key, `\`encryption.keys[${index}].key\``);
  const values = hkdfSync("sha256", bytes, "", "nats-session-store 1 values", KEY_BYTES);
  return { id, values: createSecretKey(Buffer.from(values)) };
}

function bytesIn(secret: unknown, name: string): Uint8Array {
  if (typeof secret === "string") {
    if (BASE64_KEY.test(secret)) return Buffer.from(secret, "base64");
    throw expected(name, `${KEY_BYTES} bytes in base64`, `a string of ${secret.length} characters`);
  }
  if (secret instanceof KeyObject) {
    if (secret.type === "secret") return rightLength(secret.export(), name);
    throw expected(name, "a secret key", `a ${secret.type} key`);
  }
  if (secret instanceof Uint8Array) return rightLength(secret, name);
  throw expected(name, `${KEY_BYTES} bytes as a Buffer, a KeyObject or base64`, typeof secret);
}

function rightLength(bytes: Uint8Array, name: string): Uint8Array {
  if (bytes.length === KEY_BYTES) return bytes;
  throw expected(name, `${KEY_BYTES} bytes`, String(bytes.length));
}

function listIn(value: unknown, name: string, element: string): unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.length > 0) return Array.from(value);
  throw expected(name, `an array of at least one ${element}`);
}

function objectIn(value: unknown, name: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw expected(name, "an object");
}

function refuseOthers(others: object, name: string, known: string): void {
  if (Object.keys(others).length > 0) throw expected(name, `an object with ${known} alone`);
}

function expected(name: string, what: string, got?: string): TypeError {
  return new TypeError(`Expected ${name} to be ${what}${got === undefined ? "" : `, got ${got}`}`);
}
