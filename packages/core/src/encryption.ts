import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { type Encryption, isKeyId } from "./encryption-keys.js";
import { SessionStoreError } from "./errors.js";
import { corrupt } from "./record.js";

const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A value as it is stored, with the id of the key that opens it. */
export interface Sealed {
  readonly keyId: string;
  /** Nonce, tag, ciphertext. */
  readonly value: Uint8Array;
}

/**
 * Encrypts a value under the first key.
 * @param bound what the value belongs to; without exactly that it does not open
 */
export function seal({ keys: [key] }: Encryption, value: Uint8Array, bound: string): Sealed {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key.values, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundBytes(bound, key.id));
  const parts = [cipher.update(value), cipher.final()];
  return { keyId: key.id, value: Buffer.concat([nonce, cipher.getAuthTag(), ...parts]) };
}

/**
 * The value that was sealed; a plain one as it is, where that is allowed.
 *
 * @param keyId as it stands with the value; empty = it is plain
 * @param encryption `undefined` in a store that was opened without keys
 * @throws `ERR_SESSION_KEY_UNKNOWN`, `ERR_SESSION_CORRUPT`
 */
export function open(
  encryption: Encryption | undefined,
  keyId: string,
  value: Uint8Array,
  bound: string,
): Uint8Array {
  if (keyId === "") {
    if (!encryption || encryption.allowPlain) return value;
    throw corrupt("it is not encrypted, and `encryption.allowPlain` is false");
  }
  const key = keyOf(encryption, keyId);
  if (value.length < NONCE_BYTES + TAG_BYTES) throw corrupt("its value is too short to be an encrypted one");
  const nonce = value.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, key.values, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(boundBytes(bound, keyId));
  decipher.setAuthTag(value.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  const opened = decipher.update(value.subarray(NONCE_BYTES + TAG_BYTES));
  try {
    decipher.final();
  } catch {
    throw corrupt("its value was damaged, or belongs to another session, time or user");
  }
  return opened;
}

/** @throws `ERR_SESSION_KEY_UNKNOWN`, or `ERR_SESSION_CORRUPT` for what is no key id */
export function keyOf(encryption: Encryption | undefined, keyId: string) {
  if (!isKeyId(keyId)) throw corrupt("the name of its key is none");
  const key = encryption?.keys.find(({ id }) => id === keyId);
  if (key) return key;
  const known = encryption ? "which is not among `encryption.keys`" : "and the store has no `encryption`";
  throw new SessionStoreError(
    "ERR_SESSION_KEY_UNKNOWN",
    `The stored session is encrypted with the key "${keyId}", ${known}. Give it to every process that uses the bucket.`,
  );
}

function boundBytes(bound: string, keyId: string): Uint8Array {
  return Buffer.from(`${bound}\n${keyId}`);
}
