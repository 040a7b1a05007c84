import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { corrupt, SessionStoreError } from "../errors.js";
import { type DerivedKey, type Encryption, isKeyId } from "./encryption-keys.js";

const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A value in the form in which it is stored. */
export interface Sealed {
  /** Id of the key that opens the value; empty = it is plain. */
  readonly keyId: string;
  /** Nonce, tag, ciphertext. */
  readonly value: Uint8Array;
}

/**
 * Encrypts a value with the first key; without keys the value stays plain.
 * @param bound what the value belongs to: it opens only with exactly this
 */
export function seal(encryption: Encryption | undefined, value: Uint8Array, bound: string): Sealed {
  const key = encryption?.keys[0];
  if (!key) return { keyId: "", value };
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key.values, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundBytes(bound, key.id));
  const ciphertext = cipher.update(value);
  // GCM is a stream mode: `final` adds no bytes.
  cipher.final();
  return { keyId: key.id, value: Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]) };
}

/**
 * The value that was sealed.
 * @param keyId as it is stored with the value; empty = the value is plain
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
    throw corrupt(
      "its value is not encrypted, and this store has `encryption.keys`. To begin encrypting a bucket in use, set `encryption.allowPlain` to true until every session has been written once",
    );
  }
  const key = keyFor(encryption, keyId);
  if (value.length < NONCE_BYTES + TAG_BYTES) throw corrupt("its value is too short to be an encrypted one");
  const nonce = value.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, key.values, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(boundBytes(bound, keyId));
  decipher.setAuthTag(value.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  const opened = decipher.update(value.subarray(NONCE_BYTES + TAG_BYTES));
  try {
    decipher.final();
  } catch {
    throw corrupt(
      "its value or a header beside it is damaged or belongs to another session, or another key has the id that encrypted it",
    );
  }
  return opened;
}

function keyFor(encryption: Encryption | undefined, keyId: string): DerivedKey {
  if (!isKeyId(keyId)) throw corrupt("its Session-Key header is not the id of a key");
  const keys = encryption?.keys ?? [];
  const key = keys.find(({ id }) => id === keyId);
  if (key) return key;
  const missing =
    keys.length > 0 ? "which is not among `encryption.keys`" : "and the store has no `encryption.keys`";
  throw new SessionStoreError(
    "ERR_SESSION_KEY_UNKNOWN",
    `The stored session is encrypted with the key "${keyId}", ${missing}. Give it to every process that uses the bucket.`,
  );
}

function boundBytes(bound: string, keyId: string): Uint8Array {
  return Buffer.from(`${bound}\n${keyId}`);
}
