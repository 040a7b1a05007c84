import { createSecretKey, hkdfSync, KeyObject } from "node:crypto";
import type { EncryptionOptions } from "./store-options.js";

/** A key as it is used: never itself, but by a subkey for each purpose. */
export interface DerivedKey {
  readonly id: string;
  /** AES-256 key for the values. */
  readonly values: KeyObject;
  /** HMAC key for the names of sessions and users. */
  readonly names: KeyObject;
}

/** The option `encryption`, checked and made ready. */
export interface Encryption {
  /** The first one writes, all read. */
  readonly keys: readonly [DerivedKey, ...DerivedKey[]];
  readonly allowPlain: boolean;
}

const KEY_BYTES = 32;

/** 32 bytes in base64 or base64url. */
const BASE64_KEY = /^[A-Za-z0-9+/_-]{43}=?$/;

/** What stands in a header and in error messages, so it is held to letters that need no care. */
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Checks the keys and derives what is used of them.
 * @throws TypeError with what was expected; a key, or what was given for one, is never quoted
 */
export function resolveEncryption(given: EncryptionOptions): Encryption {
  const { keys, allowPlain = true, ...others } = objectOf(given, "`encryption`");
  refuseOthers(others, "`encryption`", "`keys` and `allowPlain`");
  if (typeof allowPlain !== "boolean") throw expected("`encryption.allowPlain`", "a boolean");
  if (!Array.isArray(keys) || keys.length === 0) {
    throw expected("`encryption.keys`", "an array of at least one `{ id, key }`");
  }
  const [first, ...older] = keys.map(derived);
  const ids = new Set(keys.map(({ id }) => id));
  if (ids.size < keys.length) throw expected("`encryption.keys`", "keys with different ids");
  return { keys: [first as DerivedKey, ...older], allowPlain };
}

export function isKeyId(value: unknown): value is string {
  return typeof value === "string" && KEY_ID.test(value);
}

function derived(given: unknown, index: number): DerivedKey {
  const name = `\`encryption.keys[${index}]\``;
  const { id, key, ...others } = objectOf(given, name);
  refuseOthers(others, name, "`id` and `key`");
  if (!isKeyId(id)) throw expected(`${name}.id`, "1 to 64 letters, digits, - and _");
  const bytes = bytesOf(key, `${name}.key`);
  const subkey = (purpose: string) =>
    createSecretKey(Buffer.from(hkdfSync("sha256", bytes, "", `nats-session-store 1 ${purpose}`, KEY_BYTES)));
  return { id, values: subkey("values"), names: subkey("names") };
}

function bytesOf(key: unknown, name: string): Uint8Array {
  if (typeof key === "string") {
    if (BASE64_KEY.test(key)) return Buffer.from(key, "base64");
    throw expected(name, `${KEY_BYTES} bytes in base64`, `a string of ${key.length} characters`);
  }
  if (key instanceof KeyObject) {
    if (key.type === "secret") return rightLength(key.export(), name);
    throw expected(name, "a secret key", `a ${key.type} key`);
  }
  if (key instanceof Uint8Array) return rightLength(key, name);
  throw expected(name, `${KEY_BYTES} bytes as a Buffer, a KeyObject or base64`, typeof key);
}

function rightLength(bytes: Uint8Array, name: string): Uint8Array {
  if (bytes.length === KEY_BYTES) return bytes;
  throw expected(name, `${KEY_BYTES} bytes`, String(bytes.length));
}

function objectOf(value: unknown, name: string): Record<string, unknown> {
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
