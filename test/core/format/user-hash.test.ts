import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { handleOf, isHandle } from "../../../packages/core/src/format/keys.js";
import { UserHasher } from "../../../packages/core/src/format/user-hash.js";

const [first, second] = [randomBytes(32), randomBytes(32)].map((bytes) => createSecretKey(bytes));
if (!first || !second) throw new Error("no secrets");

describe("user hashes", () => {
  it("without a secret are the SHA-256 of the name", () => {
    const hasher = new UserHasher([]);
    expect(hasher.current("ada")).toBe(handleOf("ada"));
    expect(hasher.all("ada")).toEqual([handleOf("ada")]);
  });

  it("with a secret are an HMAC that cannot be computed from the name alone", () => {
    const hash = new UserHasher([first]).current("ada");
    expect(hash).toBe(createHmac("sha256", first).update(handleOf("ada")).digest("base64url"));
    expect(isHandle(hash)).toBe(true);
    expect(new UserHasher([second]).current("ada")).not.toBe(hash);
  });

  it("cover every secret in order and the plain SHA-256 last, so that a change of secrets misses no session", () => {
    const hasher = new UserHasher([first, second]);
    expect(hasher.current("ada")).toBe(new UserHasher([first]).current("ada"));
    expect(hasher.all("ada")).toEqual([
      new UserHasher([first]).current("ada"),
      new UserHasher([second]).current("ada"),
      handleOf("ada"),
    ]);
  });

  it("are SHA-256 where that stands in place of a secret, also beside secrets", () => {
    const hasher = new UserHasher(["sha256", first]);
    expect(hasher.current("ada")).toBe(handleOf("ada"));
    expect(hasher.all("ada")).toEqual([handleOf("ada"), new UserHasher([first]).current("ada")]);
    expect(hasher.isKeyed).toBe(true);
  });

  it("name nothing twice when a secret was given twice", () => {
    expect(new UserHasher([first, first]).all("ada")).toHaveLength(2);
  });

  it.each([undefined, null, "", 5, {}, ["ada"], Promise.resolve("ada")].map((user) => ({ user })))(
    "refuse the user $user with a TypeError that does not quote it",
    ({ user }) => {
      for (const hasher of [new UserHasher([]), new UserHasher([first])]) {
        expect(() => hasher.current(user as never)).toThrow(TypeError);
        expect(() => hasher.all(user as never)).toThrow(/user.*non-empty string/);
      }
    },
  );
});
