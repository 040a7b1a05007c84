import { isHandle } from "./keys.js";

/** The letters of base64url in the order of their values (RFC 4648, 5). */
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** The value of each letter, by its code; 0 for any other. */
const VALUES = new Uint8Array(128);
for (let value = 0; value < LETTERS.length; value++) VALUES[LETTERS.charCodeAt(value)] = value;

/** So many letters of a hash decide: 24 bits. */
const DECIDING = 4;

/** How many buckets a store may have. */
export const MOST_SHARDS = 64;

/**
 * In which of several buckets a hash in base64url lies, a session's handle or a user's hash: the number that its
 * first four letters spell, modulo the number of buckets. Part of the storage format.
 */
export function shardOf(hash: string, count: number): number {
  if (count === 1) return 0;
  let number = 0;
  for (let n = 0; n < DECIDING; n++) number = number * 64 + (VALUES[hash.charCodeAt(n)] ?? 0);
  return number % count;
}

/** The hash nearest to this one that lies in a shard: only its first four letters change. */
export function inShard(hash: string, shard: number, count: number): string {
  if (!isHandle(hash)) throw new TypeError("Expected a hash in base64url");
  const bits = Buffer.from(hash.slice(0, DECIDING), "base64url").readUIntBE(0, 3);
  const moved = bits - (bits % count) + shard;
  const fitting = moved < 2 ** 24 ? moved : moved - count;
  const start = Buffer.alloc(3);
  start.writeUIntBE(fitting, 0, 3);
  return start.toString("base64url") + hash.slice(DECIDING);
}
