import { readFileSync } from "node:fs";
import type { EncryptionOptions } from "nats-session-store";
import { UsageError } from "../exit.js";
import type { Values } from "./arguments.js";

/** Lists of `id=secret`, and of secrets, separated by commas. */
const KEYS_VARIABLE = "NATS_SESSIONS_ENCRYPTION_KEYS";
const USER_KEYS_VARIABLE = "NATS_SESSIONS_USER_KEYS";

const BYTES = /^[A-Za-z0-9+/_-]{43}=?$/;
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The keys of the sessions, from options and variables. A secret is given as base64, as `@FILE`, or as `env:NAME`;
 * no message quotes one.
 * @throws UsageError
 */
export function encryptionIn(values: Values, env: NodeJS.ProcessEnv): EncryptionOptions | undefined {
  const keys = listIn(values, "encryption-key", env[KEYS_VARIABLE]).map((text) => {
    const at = text.indexOf("=");
    const id = text.slice(0, at);
    if (at < 1 || !KEY_ID.test(id)) {
      throw new UsageError("Expected --encryption-key to be ID=BASE64, ID=@FILE or ID=env:NAME");
    }
    // Not by its id: a key without one, and its base64 ends with a sign of equality, looks like an id.
    return { id, key: secretIn(text.slice(at + 1), "--encryption-key", env) };
  });
  const userKeys = listIn(values, "user-key", env[USER_KEYS_VARIABLE]).map((text) =>
    secretIn(text, "--user-key", env),
  );
  if (new Set(keys.map(({ id }) => id)).size < keys.length) {
    throw new UsageError("Expected encryption keys with different ids");
  }
  if (keys.length === 0 && userKeys.length === 0) return undefined;
  // A bucket may hold sessions from before it was encrypted; an operator sees them all.
  return {
    ...(keys.length > 0 ? { keys, allowPlain: true } : {}),
    ...(userKeys.length > 0 ? { userKeys } : {}),
  };
}

function listIn(values: Values, name: string, variable: string | undefined): readonly string[] {
  if (values.has(name)) return values.all(name);
  return (variable ?? "").split(",").filter((text) => text !== "");
}

function secretIn(text: string, what: string, env: NodeJS.ProcessEnv): string | Uint8Array {
  if (text.startsWith("@")) return bytesIn(readSecretFile(text.slice(1), what), what);
  if (!text.startsWith("env:")) return base64In(text, what);
  const name = text.slice("env:".length);
  const value = env[name];
  if (value === undefined) throw new UsageError(`Expected ${what} in the variable ${name}, which is not set`);
  return base64In(value.trim(), what);
}

/** A file holds 32 bytes, or their base64. */
function bytesIn(bytes: Buffer, what: string): string | Uint8Array {
  return bytes.length === 32 ? bytes : base64In(bytes.toString("latin1").trim(), what);
}

function base64In(text: string, what: string): string {
  if (BYTES.test(text)) return text;
  throw new UsageError(`Expected ${what} to be 32 bytes in base64`);
}

/** @throws UsageError naming the file's path and what went wrong, never its content */
export function readSecretFile(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`Expected ${what} in a file that can be read: ${(error as Error).message}`);
  }
}
