import { createSecretKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { sessionStoreFrom } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveOptions } from "../../packages/core/src/options.js";
import { openPatient } from "../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";

const secret = randomBytes(32);
const secretText = secret.toString("base64");

const misfits: [what: string, encryption: unknown, expected: RegExp][] = [
  ["the key itself", secretText, /`encryption` to be an object/],
  ["null", null, /`encryption` to be an object/],
  ["an array of keys", [{ id: "a", key: secret }], /`encryption` to be an object/],
  ["no keys", {}, /`encryption.keys` to be an array of at least one/],
  ["an empty list", { keys: [] }, /`encryption.keys` to be an array of at least one/],
  [
    "another name",
    { keys: [{ id: "a", key: secret }], key: secret },
    /`encryption`.*`keys` and `allowPlain`/,
  ],
  ["allowPlain that is no boolean", { keys: [{ id: "a", key: secret }], allowPlain: 0 }, /a boolean/],
  ["a bare key in the list", { keys: [secretText] }, /`encryption.keys\[0\]` to be an object/],
  ["no id", { keys: [{ key: secret }] }, /keys\[0\]`.id|keys\[0\].*letters, digits, - and _/],
  ["an id with a space", { keys: [{ id: "a b", key: secret }] }, /letters, digits, - and _/],
  ["an id with a line break", { keys: [{ id: "a\r\nX: y", key: secret }] }, /letters, digits, - and _/],
  ["a long id", { keys: [{ id: "a".repeat(65), key: secret }] }, /1 to 64 letters/],
  ["more than id and key", { keys: [{ id: "a", key: secret, secret }] }, /`id` and `key` alone/],
  ["the same id twice", { keys: [1, 2].map(() => ({ id: "a", key: secret })) }, /different ids/],
  ["no key", { keys: [{ id: "a" }] }, /32 bytes.*undefined/],
  ["a number", { keys: [{ id: "a", key: 5 }] }, /32 bytes.*number/],
  ["16 bytes", { keys: [{ id: "a", key: secret.subarray(16) }] }, /32 bytes, got 16/],
  ["64 bytes", { keys: [{ id: "a", key: Buffer.concat([secret, secret]) }] }, /32 bytes, got 64/],
  ["a pass phrase", { keys: [{ id: "a", key: "correct horse" }] }, /32 bytes in base64, got a string of 13/],
  ["hex", { keys: [{ id: "a", key: secret.toString("hex") }] }, /32 bytes in base64, got a string of 64/],
  ["31 bytes in base64", { keys: [{ id: "a", key: secret.subarray(1).toString("base64") }] }, /in base64/],
  ["a short KeyObject", { keys: [{ id: "a", key: createSecretKey(secret.subarray(8)) }] }, /got 24/],
  [
    "a public key",
    { keys: [{ id: "a", key: generateKeyPairSync("ed25519").publicKey }] },
    /a secret key, got a public key/,
  ],
];

describe("the option `encryption`", () => {
  let nc: Connection;
  beforeAll(async () => {
    nc = await connectCurrent();
  });
  afterAll(() => nc.close());

  it.each(misfits)(
    "refuses %s with the reason, which quotes nothing of it",
    async (_what, encryption, text) => {
      const opening = openPatient(nc, { bucket: newBucket(), encryption: encryption as never });
      const error = (await opening.catch((reason: unknown) => reason)) as Error;
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(text);
      for (const leak of [secretText, secret.toString("hex"), "correct", "X: y"]) {
        expect(`${error.message}${error.stack}`).not.toContain(leak);
      }
    },
  );

  it("takes a key as bytes, as a KeyObject and in both kinds of base64: all the same key", async () => {
    const bucket = newBucket();
    const forms = [
      secret,
      new Uint8Array(secret),
      createSecretKey(secret),
      secretText,
      secret.toString("base64url"),
    ];
    for (const key of forms) {
      const store = await openPatient(nc, { bucket, encryption: { keys: [{ id: "a-1_B", key }] } });
      const record = await store.load("one");
      expect(record?.data ?? null).toEqual(key === secret ? null : { n: 1 });
      if (!record) await store.save("one", { n: 1 });
      await store.close();
    }
  });

  it("gives its names before the store is open", async () => {
    const bucket = newBucket();
    const encryption = { keys: [{ id: "a", key: secret }] };
    const opening = openPatient(nc, { bucket, encryption });
    const sources = [opening, () => openPatient(nc, { bucket, encryption })];
    const early = sources.map((source) => sessionStoreFrom(source));
    const names = early.map((store) => [store.handleOf("one"), store.ownerOf("ada")]);
    const store = await opening;
    for (const list of names) expect(list).toEqual([store.handleOf("one"), store.ownerOf("ada")]);
    for (const one of early) {
      const { record } = await one.save("one", { n: 1 });
      expect(record && one.isOf("one", record)).toBe(true);
      expect(record && one.isOf("two", record)).toBe(false);
    }
    await Promise.all(early.map((one) => one.close()));
  });

  it("keeps no key where it could be printed", () => {
    const { encryption } = resolveOptions({ encryption: { keys: [{ id: "a", key: secret }] } });
    const text = inspect(encryption, { depth: 10, showHidden: true });
    expect(text).not.toContain(secret.toString("hex").slice(0, 8));
    expect(JSON.stringify(encryption)).not.toContain(secretText.slice(0, 8));
  });
});
