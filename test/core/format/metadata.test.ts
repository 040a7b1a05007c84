import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundTo } from "../../../packages/core/src/format/binding.js";
import { handleOf } from "../../../packages/core/src/format/keys.js";
import {
  changeHeaders,
  decodeIndexEntry,
  decodeSession,
  decodeTombstone,
  encodeIndexEntry,
  encodeSession,
  encodeTombstone,
  type Header,
  keyIdIn,
  type SessionMetadata,
  type WriteKind,
} from "../../../packages/core/src/format/metadata.js";

const runs = { numRuns: 500 };
const time = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const write = fc.constantFrom<WriteKind>("create", "update", "merge", "touch");
const handle = fc.string().map(handleOf);
const anyValue = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "1", "create", "destroy", "1763900000000", "1 2", "A".repeat(43), "MaxAge", "DEL"),
);

const reader = (headers: Iterable<Header> | Record<string, string>) => {
  const list = new Map(Symbol.iterator in headers ? (headers as Iterable<Header>) : Object.entries(headers));
  return (name: string) => list.get(name) ?? "";
};
const corrupt = (message: RegExp) =>
  expect.objectContaining({ code: "ERR_SESSION_CORRUPT", message: expect.stringMatching(message) });

const session = {
  "Session-Format": "1",
  "Session-Created": "1700000000000",
  "Session-Expires": "1700000060000",
  "Session-Write": "create",
};
const listed = { ...session, "Session-User": "A".repeat(43), "Session-Index": "7 1700000120000" };

/** Everything that a sender can put into our headers. */
const forged = fc.record(
  {
    "Session-Format": fc.oneof(fc.constant("1"), anyValue),
    "Session-Created": anyValue,
    "Session-Expires": anyValue,
    "Session-Write": anyValue,
    "Session-User": anyValue,
    "Session-Index": anyValue,
    "Session-Moved-To": anyValue,
    "Session-Key": anyValue,
    "KV-Operation": anyValue,
    "Nats-Marker-Reason": anyValue,
  },
  { requiredKeys: [] },
);

describe("the metadata of a session", () => {
  const membership = fc.option(fc.record({ userHash: handle, place: time, indexedUntil: time }), {
    nil: undefined,
  });
  const metadata = fc.record<SessionMetadata>({ createdAt: time, expiresAt: time, write, membership });

  it("are read as they were written, with the id of the key", () => {
    fc.assert(
      fc.property(metadata, fc.constantFrom("", "key-1"), (given, keyId) => {
        const read = reader(encodeSession(given, keyId));
        expect(decodeSession(read)).toEqual(given);
        expect(keyIdIn(read)).toBe(keyId);
      }),
      runs,
    );
  });

  it("are read from these headers, whatever other headers there are", () => {
    expect(decodeSession(reader({ ...listed, "Session-Later": "x" }))).toEqual({
      createdAt: 1_700_000_000_000,
      expiresAt: 1_700_000_060_000,
      write: "create",
      membership: { userHash: "A".repeat(43), place: 7, indexedUntil: 1_700_000_120_000 },
    });
  });

  it.each([
    ["Session-Format", ""],
    ["Session-Format", "2"],
    ["Session-Created", ""],
    ["Session-Created", "-1"],
    ["Session-Created", "1.5"],
    ["Session-Created", "01700000000000"],
    ["Session-Expires", "soon"],
    ["Session-Expires", "9".repeat(16)],
    ["Session-Expires", "9".repeat(17)],
    ["Session-Write", ""],
    ["Session-Write", "Create"],
    ["Session-Write", "destroy"],
    ["Session-Write", "toString"],
    ["Session-User", "ada"],
    ["Session-Index", ""],
    ["Session-Index", "7"],
    ["Session-Index", "7 x"],
    ["Session-Index", "7 1 2"],
  ])("with %s: %j are corrupt, and the error names the header", (name, value) => {
    expect(() => decodeSession(reader({ ...listed, [name]: value }))).toThrow(
      corrupt(name === "Session-Format" ? /format/i : new RegExp(name)),
    );
  });

  it("are read or refused with the code, whatever the headers hold", () => {
    fc.assert(
      fc.property(forged, (headers) => {
        try {
          const { createdAt, expiresAt } = decodeSession(reader(headers as Record<string, string>));
          expect(Number.isSafeInteger(createdAt) && Number.isSafeInteger(expiresAt)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_SESSION_CORRUPT" });
        }
      }),
      runs,
    );
  });

  it("bind a value to its key and to each header as it is stored", () => {
    const lines = ["s.x", ...Object.entries(listed).map(([name, value]) => `${name}: ${value}`)];
    expect(boundTo("s.x", decodeSession(reader(listed)))).toBe(lines.join("\n"));
    fc.assert(
      fc.property(metadata, metadata, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other);
        expect(boundTo("s.x", one) === boundTo("s.x", other)).toBe(same);
      }),
      runs,
    );
  });

  it("bind a value to the headers of later versions, in one order, and to none of other applications", () => {
    const bound = (...others: Header[]) => boundTo("s.x", { ...decodeSession(reader(listed)), others });
    const known = boundTo("s.x", decodeSession(reader(listed)));
    const [one, two]: Header[] = [
      ["Session-A", "1"],
      ["Session-B", "2"],
    ];
    expect(bound(one as Header, two as Header)).toBe(`${known}\r\nSession-A: 1\r\nSession-B: 2`);
    expect(bound(two as Header, ["X-Other", "3"], one as Header)).toBe(bound(one as Header, two as Header));
    expect(bound(["X-Other", "3"])).toBe(known);
    const value = fc.string({ unit: fc.constantFrom("a", "\n", "\r", ":", " ", "Session-A: 1") });
    const header = fc.tuple(
      fc.constantFrom("Session-A", "Session-B"),
      value.filter((text) => !text.includes("\r\n")),
    );
    const sorted = (list: readonly Header[]) => JSON.stringify(list.map(String).sort());
    fc.assert(
      fc.property(fc.array(header), fc.array(header), (some, others) => {
        expect(bound(...some) === bound(...others)).toBe(sorted(some) === sorted(others));
      }),
      runs,
    );
  });
});

describe("a tombstone", () => {
  const optional = fc.option(handle, { nil: undefined });

  it("is read as it was written", () => {
    fc.assert(
      fc.property(time, time, optional, optional, (createdAt, expiresAt, userHash, movedTo) => {
        const tombstone = { createdAt, expiresAt, userHash, movedTo };
        expect(decodeTombstone(reader(encodeTombstone(tombstone)))).toEqual({
          ...tombstone,
          reason: "destroyed",
        });
      }),
      runs,
    );
  });

  it.each([
    ["another client's deletion", { "KV-Operation": "DEL" }, "destroyed"],
    ["the server's expiry message", { "Nats-Marker-Reason": "MaxAge" }, "expired"],
  ])("of %s has no times and no user", (_what, headers, reason) => {
    expect(decodeTombstone(reader(headers))).toEqual({
      createdAt: 0,
      expiresAt: 0,
      userHash: undefined,
      movedTo: undefined,
      reason,
    });
  });

  it("is read whatever its headers hold: the session is gone", () => {
    fc.assert(
      fc.property(forged, (headers) => {
        const { createdAt, expiresAt, reason } = decodeTombstone(reader(headers as Record<string, string>));
        expect(Number.isSafeInteger(createdAt) && Number.isSafeInteger(expiresAt)).toBe(true);
        expect(reason).toMatch(/^(destroyed|expired)$/);
      }),
      runs,
    );
  });
});

describe("an index entry", () => {
  // As the server's clock gives it, years 1970 to 4000. Who was added by an earlier version of the entry has a place.
  const addedAt = fc.option(fc.integer({ min: 0, max: 64_000_000_000_000 }), { nil: undefined });
  const member = fc.oneof(
    fc.record({ place: time, handle, addedAt }),
    fc.record({ place: fc.constant(undefined), handle, addedAt: fc.constant(undefined) }),
  );
  const format = { "Session-Format": "1", "Session-Expires": "5" };
  const decode = (value: string | Uint8Array, headers: Record<string, string> = format) =>
    decodeIndexEntry(reader(headers), typeof value === "string" ? Buffer.from(value) : value);

  it("is read as it was written, with times rounded up to the second: no member seems older than it is", () => {
    fc.assert(
      fc.property(time, fc.array(member), (expiresAt, members) => {
        const { headers, value } = encodeIndexEntry({ expiresAt, members });
        expect(decodeIndexEntry(reader(headers), value)).toEqual({
          expiresAt,
          members: members.map(({ addedAt, ...one }) => ({
            ...one,
            addedAt: addedAt === undefined ? undefined : Math.ceil(addedAt / 1000) * 1000,
          })),
        });
      }),
      runs,
    );
  });

  it("of 12 000 sessions fits into a message of a server with its default limit", () => {
    const members = Array.from({ length: 12_000 }, (_, n) => ({
      place: 1_000_000 + n,
      handle: handleOf(String(n)),
      addedAt: 1_800_000_000_000 + n,
    }));
    const { value } = encodeIndexEntry({ expiresAt: 1, members });
    expect(value.length).toBeLessThan(700_000);
    expect(decode(value).members).toHaveLength(12_000);
  });

  it("may be a part of a larger buffer", () => {
    const { value } = encodeIndexEntry({
      expiresAt: 5,
      members: [{ place: 1, handle: handleOf("a"), addedAt: 0 }],
    });
    const whole = Buffer.concat([Buffer.from("before"), value, Buffer.from("after")]);
    expect(decode(whole.subarray(6, 6 + value.length)).members).toHaveLength(1);
  });

  it("names a place only where it is not the revision of the entry", () => {
    const [one, two] = [handleOf("one"), handleOf("two")];
    expect(decode(`z ${one} a\n${two}`).members).toEqual([
      { place: 35, handle: one, addedAt: 10_000 },
      { place: undefined, handle: two, addedAt: undefined },
    ]);
  });

  it.each([
    "1",
    "A".repeat(42),
    ` ${"A".repeat(43)}`,
    `1 ${"A".repeat(42)}`,
    `1 ${"A".repeat(44)}`,
    `-1 ${"A".repeat(43)}`,
    `zzzzzzzzzzz ${"A".repeat(43)}`,
    `1 ${"A".repeat(43)} `,
    `1 ${"A".repeat(43)} ${"z".repeat(9)}`,
    `1 ${"A".repeat(43)}\n`,
    `1 ${"A".repeat(43)}\r\n1 ${"B".repeat(43)}`,
  ])("with the value %j is corrupt", (value) => {
    expect(() => decode(value)).toThrow(corrupt(/member of a user index/));
  });

  it.each([
    [{ "Session-Expires": "5" }, /format/i],
    [{ "Session-Format": "2", "Session-Expires": "5" }, /format/i],
    [{ "Session-Format": "1" }, /Session-Expires/],
    [{ "Session-Format": "1", "Session-Expires": "-5" }, /Session-Expires/],
  ])("with the headers %j is corrupt", (headers, message) => {
    expect(() => decode("", headers as Record<string, string>)).toThrow(corrupt(message));
  });

  it("is read or refused with the code, whatever its bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (value) => {
        try {
          decode(value);
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_SESSION_CORRUPT" });
        }
      }),
      runs,
    );
  });
});

describe("the headers of a write tell the change feed", () => {
  const nothing = { write: undefined, userHash: undefined, movedTo: undefined, isOurs: false };
  const user = "U".repeat(43);
  const moved = "M".repeat(43);
  const tombstone = encodeTombstone({ createdAt: 1, expiresAt: 2, userHash: user, movedTo: moved });

  it.each([
    ["a save", { ...listed, "Session-User": user }, { write: "create", userHash: user, isOurs: true }],
    [
      "a touch of a session without a user",
      { ...session, "Session-Write": "touch" },
      { write: "touch", isOurs: true },
    ],
    [
      "a rotation",
      { ...Object.fromEntries(tombstone), "KV-Operation": "DEL", "Nats-Marker-Reason": "Remove" },
      { write: "destroy", userHash: user, movedTo: moved, isOurs: true },
    ],
    ["a deletion by another client", { "KV-Operation": "DEL" }, { write: "destroy" }],
    ["a purge by another client", { "KV-Operation": "PURGE" }, { write: "destroy" }],
    ["an expiry", { "Nats-Marker-Reason": "MaxAge" }, { write: "expire" }],
    ["an index entry", { "Session-Format": "1", "Session-Expires": "5" }, { isOurs: true }],
    ["an entry of another application", { "Session-User": "ada", "Session-Write": "x" }, {}],
  ])("of %s", (_what, headers, expected) => {
    expect(changeHeaders(reader(headers as Record<string, string>))).toEqual({ ...nothing, ...expected });
  });

  it("and never throw, whatever they hold", () => {
    fc.assert(
      fc.property(forged, (headers) => {
        const { userHash } = changeHeaders(reader(headers as Record<string, string>));
        expect(userHash ?? "A".repeat(43)).toMatch(/^[\w-]{43}$/);
      }),
      runs,
    );
  });
});
