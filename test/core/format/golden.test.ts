import { createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { boundTo } from "../../../packages/core/src/format/binding.js";
import { open } from "../../../packages/core/src/format/encryption.js";
import { resolveEncryption } from "../../../packages/core/src/format/encryption-keys.js";
import { handleOf } from "../../../packages/core/src/format/keys.js";
import {
  decodeIndexEntry,
  decodeSession,
  decodeTombstone,
  encodeIndexEntry,
  encodeSession,
  encodeTombstone,
} from "../../../packages/core/src/format/metadata.js";
import { deserialize, jsonSerializer } from "../../../packages/core/src/format/serializer.js";
import { UserHasher } from "../../../packages/core/src/format/user-hash.js";
import { readGolden } from "./golden.js";

const reader = (headers: Record<string, string>) => (name: string) => headers[name] ?? "";

/** Stored entries of format 1 are read by every later version: these files may be added to and never changed. */
describe("the golden entries of format 1", () => {
  it.each(["session", "session-of-user"])("%s: is read, and written with the same headers", (name) => {
    const { id, key, headers, metadata, value, data } = readGolden(name);
    expect(deserialize(Buffer.from(value), jsonSerializer)).toEqual(data);
    expect(key).toBe(`s.${handleOf(id as string)}`);
    expect(decodeSession(reader(headers))).toEqual(metadata);
    expect(encodeSession(metadata as never).map(([name, value]) => [name, value])).toEqual(
      Object.entries(headers),
    );
  });

  it.each(["tombstone", "rotation-tombstone"])("%s: is read, and written with the same headers", (name) => {
    const { id, key, headers, metadata, value } = readGolden(name);
    expect(key).toBe(`s.${handleOf(id as string)}`);
    expect(value).toBe("");
    expect(decodeTombstone(reader(headers))).toEqual({ ...metadata, reason: "destroyed" });
    const own = Object.entries(headers).filter(([name]) => name.startsWith("Session-"));
    expect(encodeTombstone(metadata as never)).toEqual(own);
  });

  it("index: is read, and written with the same bytes", () => {
    const { user, key, headers, metadata, value } = readGolden("index");
    expect(key).toBe(`u.${handleOf(user as string)}`);
    expect(decodeIndexEntry(reader(headers), Buffer.from(value))).toEqual(metadata);
    const encoded = encodeIndexEntry(metadata as never);
    expect(encoded.headers).toEqual(Object.entries(headers));
    expect(Buffer.from(encoded.value).toString()).toBe(value);
  });
});

describe("the golden encrypted session of format 1", () => {
  const golden = readGolden("encrypted-session");
  const { headers, data } = golden;
  const encryption = golden.encryption ?? expect.fail("no keys");
  const bound = boundTo(
    golden.key,
    decodeSession((name) => headers[name] ?? ""),
  );
  const value = Buffer.from(golden.value, "base64");

  it("is read", () => {
    const store = resolveEncryption(encryption);
    const opened = open(store, headers["Session-Key"] ?? "", value, bound);
    expect(JSON.parse(Buffer.from(opened).toString())).toEqual(data);
    expect(golden.key).toBe(`s.${handleOf(golden.id ?? "")}`);
    expect(new UserHasher(store.userSecrets).current(golden.user ?? "")).toBe(headers["Session-User"]);
  });

  it("is made as the documentation of the format says", () => {
    const [{ id, key: text }] = encryption.keys;
    const values = Buffer.from(
      hkdfSync("sha256", Buffer.from(text, "base64"), "", "nats-session-store 1 values", 32),
    );
    const names = ["Format", "Created", "Expires", "Write", "User", "Index"].map((name) => `Session-${name}`);
    const decipher = createDecipheriv("aes-256-gcm", values, value.subarray(0, 12));
    decipher.setAAD(
      Buffer.from([golden.key, ...names.map((name) => `${name}: ${headers[name]}`), id].join("\n")),
    );
    decipher.setAuthTag(value.subarray(12, 28));
    const opened = Buffer.concat([decipher.update(value.subarray(28)), decipher.final()]).toString();
    expect(JSON.parse(opened)).toEqual(data);
    expect(headers["Session-User"]).toBe(
      createHmac("sha256", Buffer.from(encryption.userKeys[0], "base64"))
        .update(handleOf(golden.user ?? ""))
        .digest("base64url"),
    );
  });
});
