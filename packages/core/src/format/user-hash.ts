import { createHmac, type KeyObject } from "node:crypto";
import { handleOf } from "./keys.js";
import { inShard, shardOf } from "./shards.js";

/** A secret to hash user names with; `"sha256"` = none, the plain SHA-256. */
export type UserSecret = KeyObject | "sha256";

/**
 * Hashes user names for headers and keys. User names can be guessed, unlike session ids, so with a secret the hash is
 * an HMAC: a reader of the bucket cannot search it for a name.
 */
export class UserHasher {
  readonly #secrets: readonly UserSecret[];
  readonly #shards: number;

  /**
   * @param secrets the current one first, then others that names may have been hashed with
   * @param shards how many buckets there are: all hashes of a name lie in the bucket of the plain one, so that its
   * sign-ins have one order whatever they were hashed with
   */
  constructor(secrets: readonly UserSecret[], shards = 1) {
    this.#secrets = secrets;
    this.#shards = shards;
  }

  /** Whether a name has more than one hash. */
  get isKeyed(): boolean {
    return this.#secrets.length > 0;
  }

  /**
   * The hash that new index entries get.
   * @throws TypeError for anything but a non-empty string
   */
  current(user: string): string {
    return this.#hashBy(this.#secrets[0] ?? "sha256", plainHash(user));
  }

  /**
   * Every hash under which sessions of the user may be indexed, the current one first. The plain SHA-256 is always
   * among them: the bucket may have been in use before it had secrets.
   * @throws TypeError for anything but a non-empty string
   */
  all(user: string): readonly string[] {
    const plain = plainHash(user);
    return [...new Set([...this.#secrets.map((secret) => this.#hashBy(secret, plain)), plain])];
  }

  #hashBy(secret: UserSecret, plain: string): string {
    const hash = hashBy(secret, plain);
    return this.#shards === 1 ? hash : inShard(hash, shardOf(plain, this.#shards), this.#shards);
  }
}

function plainHash(user: string): string {
  if (typeof user !== "string" || user === "") {
    throw new TypeError(
      `Expected the user to be a non-empty string, got ${user === "" ? "an empty one" : typeof user}`,
    );
  }
  return handleOf(user);
}

function hashBy(secret: UserSecret, plain: string): string {
  return secret === "sha256" ? plain : createHmac("sha256", secret).update(plain).digest("base64url");
}
