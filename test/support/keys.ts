import { createHash } from "node:crypto";
import type { EncryptionKey, EncryptionOptions } from "nats-session-store";

/** A key for tests, the same for the same id. */
export function keyOf(id: string): EncryptionKey {
  return { id, key: createHash("sha256").update(`a key for tests: ${id}`).digest() };
}

/** The option with these keys, the first one to write with. */
export function encryptionBy(...ids: string[]): EncryptionOptions {
  return { keys: ids.map(keyOf) };
}
