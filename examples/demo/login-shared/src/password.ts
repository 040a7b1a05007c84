import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

export interface PasswordHash {
  salt: Buffer;
  hash: Buffer;
}

/** What a hash costs to compute. */
export type HashCost = Pick<ScryptOptions, "N" | "r" | "p">;

/** 16 MiB of memory and five passes over it. */
export const usualCost: HashCost = { N: 2 ** 14, r: 8, p: 5 };
const saltBytes = 16;
const hashBytes = 32;

export async function hashPassword(password: string, cost: HashCost): Promise<PasswordHash> {
  const salt = randomBytes(saltBytes);
  return { salt, hash: await derive(password, salt, cost) };
}

export async function verifyPassword(
  password: string,
  { salt, hash }: PasswordHash,
  cost: HashCost,
): Promise<boolean> {
  return timingSafeEqual(await derive(password, salt, cost), hash);
}

/** Fits no password, and takes as long to check as any other. */
export function unmatchableHash(): PasswordHash {
  return { salt: randomBytes(saltBytes), hash: randomBytes(hashBytes) };
}

function derive(password: string, salt: Buffer, cost: HashCost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFKC"), salt, hashBytes, cost, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}
