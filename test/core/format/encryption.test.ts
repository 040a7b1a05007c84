import { createHmac, createSecretKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { open, seal } from "../../../packages/core/src/format/encryption.js";
import { type EncryptionKey, resolveEncryption } from "../../../packages/core/src/format/encryption-keys.js";
import { handleOf } from "../../../packages/core/src/format/keys.js";
import { UserHasher } from "../../../packages/core/src/format/user-hash.js";

const secret = randomBytes(32);
const secretText = secret.toString("base64");
const VALUE = Buffer.from('{"word":"a secret"}');
const BOUND = "s.x\nSession-Format: 1";

const key = (id: string, bytes: EncryptionKey["key"] = secret): EncryptionKey => ({ id, key: bytes });
const one = [key("a")];
const by = (...keys: EncryptionKey[]) => resolveEncryption({ keys });

const thrown = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe("an encrypted value", () => {
  it("opens to what was sealed, by whichever place its key has, and holds nothing of it", () => {
    const { keyId, value } = seal(by(key("a")), VALUE, BOUND);
    expect(keyId).toBe("a");
    expect(value).toHaveLength(12 + 16 + VALUE.length);
    expect(Buffer.from(value).toString("latin1")).not.toContain("secret");
    for (const store of [by(key("a")), by(key("b", randomBytes(32)), key("a"))]) {
      expect(Buffer.from(open(store, "a", value, BOUND))).toEqual(VALUE);
    }
  });

  it("is sealed with the first key", () => {
    expect(seal(by(key("b", randomBytes(32)), key("a")), VALUE, BOUND).keyId).toBe("b");
  });

  it("may be empty", () => {
    const { keyId, value } = seal(by(key("a")), new Uint8Array(0), BOUND);
    expect(open(by(key("a")), keyId, value, BOUND)).toHaveLength(0);
  });

  it("is another one each time, also of the same data", () => {
    const values = Array.from({ length: 100 }, () => Buffer.from(seal(by(key("a")), VALUE, BOUND).value));
    expect(new Set(values.map((value) => value.toString("hex").slice(0, 24))).size).toBe(100);
  });

  it.each(["", "s.y\nSession-Format: 1", `${BOUND}\n`, BOUND.toLowerCase()])(
    "does not open beside other metadata: %j",
    (bound) => {
      const { keyId, value } = seal(by(key("a")), VALUE, BOUND);
      expect(() => open(by(key("a")), keyId, value, bound)).toThrow(thrown("ERR_SESSION_CORRUPT", /damaged/));
    },
  );

  it("does not open when it was damaged, cut short or made longer anywhere", () => {
    const { value } = seal(by(key("a")), VALUE, BOUND);
    const damaged = Array.from(value, (_byte, at) => {
      const bytes = Buffer.from(value);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes;
    });
    const cut = Array.from(value, (_byte, length) => value.subarray(0, length));
    for (const bytes of [...damaged, ...cut, Buffer.concat([value, value])]) {
      expect(() => open(by(key("a")), "a", bytes, BOUND)).toThrow(
        expect.objectContaining({ code: "ERR_SESSION_CORRUPT" }),
      );
    }
  });

  it("does not open under the same key id with other bytes, and the error says so", () => {
    const { keyId, value } = seal(by(key("a")), VALUE, BOUND);
    expect(() => open(by(key("a", randomBytes(32))), keyId, value, BOUND)).toThrow(
      thrown("ERR_SESSION_CORRUPT", /another key has the id/),
    );
  });

  it("does not open under another id of the same key", () => {
    const { value } = seal(by(key("a")), VALUE, BOUND);
    expect(() => open(by(key("b")), "b", value, BOUND)).toThrow(thrown("ERR_SESSION_CORRUPT", /damaged/));
  });

  it.each([
    ["a store with another key", by(key("b")), /"a".*not among `encryption.keys`/],
    ["a store without `encryption`", undefined, /"a".*no `encryption.keys`/],
    ["a store with `userKeys` alone", resolveEncryption({ userKeys: [secret] }), /"a".*no `encryption.keys`/],
    ["a store that allows plain values", resolveEncryption({ keys: [key("b")], allowPlain: true }), /"a"/],
  ])("is an unknown key for %s, never a missing session", (_what, store, message) => {
    const { keyId, value } = seal(by(key("a")), VALUE, BOUND);
    expect(() => open(store, keyId, value, BOUND)).toThrow(thrown("ERR_SESSION_KEY_UNKNOWN", message));
  });

  it.each(["k 1 $", "a\r\nX: y", "é", "a".repeat(65)])("with the key id %j is corrupt", (keyId) => {
    const { value } = seal(by(key("a")), VALUE, BOUND);
    for (const store of [by(key("a")), undefined]) {
      expect(() => open(store, keyId, value, BOUND)).toThrow(thrown("ERR_SESSION_CORRUPT", /Session-Key/));
    }
  });
});

describe("a plain value", () => {
  it.each([
    ["without `encryption`", undefined],
    ["with `userKeys` alone", resolveEncryption({ userKeys: [secret] })],
  ])("is stored and read as it is by a store %s", (_what, store) => {
    expect(seal(store, VALUE, BOUND)).toEqual({ keyId: "", value: VALUE });
    expect(open(store, "", VALUE, BOUND)).toBe(VALUE);
  });

  it("is refused by a store with keys, and the error says how to move", () => {
    for (const store of [by(key("a")), resolveEncryption({ keys: one, allowPlain: false })]) {
      expect(() => open(store, "", VALUE, BOUND)).toThrow(
        thrown("ERR_SESSION_CORRUPT", /not encrypted.*`encryption.allowPlain` to true until every session/),
      );
    }
  });

  it("is read by a store with keys and `allowPlain: true`, which encrypts it at the next write", () => {
    const store = resolveEncryption({ keys: one, allowPlain: true });
    expect(open(store, "", VALUE, BOUND)).toBe(VALUE);
    expect(seal(store, VALUE, BOUND).keyId).toBe("a");
  });
});

const misfits: [what: string, encryption: unknown, expected: RegExp][] = [
  ["the key itself", secretText, /`encryption` to be an object/],
  ["null", null, /`encryption` to be an object/],
  ["an array of keys", one, /`encryption` to be an object/],
  ["neither keys nor userKeys", {}, /`keys` or `userKeys`/],
  ["an empty list of keys", { keys: [] }, /`encryption.keys` to be an array of at least one/],
  ["keys that are null", { keys: null, userKeys: [secret] }, /`encryption.keys` to be an array/],
  [
    "an empty list of userKeys",
    { keys: one, userKeys: [] },
    /`encryption.userKeys` to be an array of at least one/,
  ],
  ["a bare userKey", { keys: one, userKeys: secret }, /`encryption.userKeys` to be an array/],
  ["a userKey with an id", { userKeys: one }, /`encryption.userKeys\[0\]`.*32 bytes.*object/],
  [
    "a short userKey",
    { userKeys: [secret, secret.subarray(1)] },
    /`encryption.userKeys\[1\]`.*32 bytes, got 31/,
  ],
  ["a pass phrase as userKey", { userKeys: ["correct horse"] }, /userKeys\[0\]`.*base64, got a string of 13/],
  ["another name", { keys: one, key: secret }, /`encryption`.*`keys`, `userKeys` and `allowPlain` alone/],
  ["allowPlain that is no boolean", { keys: one, allowPlain: 0 }, /a boolean/],
  [
    "allowPlain without keys",
    { userKeys: [secret], allowPlain: true },
    /`allowPlain|allowPlain`.*`encryption.keys`/,
  ],
  ["a bare key in the list", { keys: [secretText] }, /`encryption.keys\[0\]` to be an object/],
  ["undefined in the list", { keys: [undefined, key("a")] }, /`encryption.keys\[0\]` to be an object/],
  ["no id", { keys: [{ key: secret }] }, /`encryption.keys\[0\].id`.*letters, digits, - and _/],
  ["an id with a space", { keys: [key("a b")] }, /letters, digits, - and _/],
  ["an id with a line break", { keys: [key("a\r\nX: y")] }, /letters, digits, - and _/],
  ["a long id", { keys: [key("a".repeat(65))] }, /1 to 64 letters/],
  ["more than id and key", { keys: [{ ...key("a"), secret }] }, /`id` and `key` alone/],
  ["the same id twice", { keys: [key("a"), key("a")] }, /different ids/],
  ["no key", { keys: [{ id: "a" }] }, /`encryption.keys\[0\].key`.*32 bytes.*undefined/],
  ["a number", { keys: [key("a", 5 as never)] }, /32 bytes.*number/],
  ["16 bytes", { keys: [key("a", secret.subarray(16))] }, /32 bytes, got 16/],
  ["64 bytes", { keys: [key("a", Buffer.concat([secret, secret]))] }, /32 bytes, got 64/],
  ["a pass phrase", { keys: [key("a", "correct horse")] }, /32 bytes in base64, got a string of 13/],
  ["hex", { keys: [key("a", secret.toString("hex"))] }, /32 bytes in base64, got a string of 64/],
  ["31 bytes in base64", { keys: [key("a", secret.subarray(1).toString("base64"))] }, /in base64/],
  ["a short KeyObject", { keys: [key("a", createSecretKey(secret.subarray(8)))] }, /got 24/],
  [
    "a public key",
    { keys: [key("a", generateKeyPairSync("ed25519").publicKey)] },
    /a secret key, got a public key/,
  ],
];

describe("the option `encryption`", () => {
  it.each(misfits)("refuses %s with the reason, which quotes nothing of it", (_what, encryption, text) => {
    const error = thrownBy(() => resolveEncryption(encryption as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(text);
    for (const leak of [secretText, secret.toString("hex"), "correct", "X: y"]) {
      expect(`${error.message}${error.stack}`).not.toContain(leak);
    }
  });

  it("accepts a key as bytes, as a KeyObject and in both kinds of base64: all the same key", () => {
    const forms = [
      secret,
      new Uint8Array(secret),
      createSecretKey(secret),
      secretText,
      secretText.replace("=", ""),
      secret.toString("base64url"),
    ];
    const { value } = seal(by(key("a-1_B")), VALUE, BOUND);
    for (const form of forms) {
      const store = resolveEncryption({ keys: [key("a-1_B", form)], userKeys: [form] });
      expect(Buffer.from(open(store, "a-1_B", value, BOUND))).toEqual(VALUE);
      expect(new UserHasher(store.userSecrets).current("ada")).toBe(
        createHmac("sha256", secret).update(handleOf("ada")).digest("base64url"),
      );
    }
  });

  it("is a copy: later changes of the caller's bytes have no effect", () => {
    const bytes = Buffer.from(secret);
    const store = resolveEncryption({ keys: [key("a", bytes)], userKeys: [bytes] });
    const hash = new UserHasher(store.userSecrets).current("ada");
    bytes.fill(0);
    expect(Buffer.from(open(store, "a", seal(by(key("a")), VALUE, BOUND).value, BOUND))).toEqual(VALUE);
    expect(new UserHasher(store.userSecrets).current("ada")).toBe(hash);
  });

  it("keeps no key where it could be printed", () => {
    const encryption = resolveEncryption({ keys: one, userKeys: [secret] });
    const printed = inspect([encryption, new UserHasher(encryption.userSecrets)], {
      depth: 10,
      showHidden: true,
    });
    expect(printed).not.toContain(secret.toString("hex").slice(0, 8));
    expect(JSON.stringify(encryption)).not.toContain(secretText.slice(0, 8));
  });
});

function thrownBy(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("Nothing was thrown");
}
