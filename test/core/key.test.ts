import { createHash } from "node:crypto";
import fc from "fast-check";
import { handleOf as exported } from "nats-session-store";
import { describe, expect, it } from "vitest";
import { handleOf, isBucketName, isHandle, isPrefix, sessionKeyStart } from "../../packages/core/src/key.js";

const runs = { numRuns: 500 };

/** Any string that JavaScript can hold, lone surrogates and control characters among them. */
const anyString = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 60 })
    .map((units) => String.fromCharCode(...units)),
  fc.constantFrom("", "*", ">", "a.b", " ", "\0", "\r\n", "🍪", "\ud800", "\udc00", "__proto__"),
);

describe("a handle", () => {
  it.each([
    ["", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"],
    ["abc", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"],
    ["ü€😀", createHash("sha256").update("ü€😀", "utf8").digest("base64url")],
  ])("of %j is its SHA-256 in base64url", (id, handle) => {
    expect(handleOf(id)).toBe(handle);
  });

  it("is what the package exports under this name", () => {
    expect(exported("abc")).toBe(handleOf("abc"));
  });

  it("is 43 letters, digits, - and _ for every string, so one token of a subject", () => {
    fc.assert(
      fc.property(anyString, (id) => {
        expect(handleOf(id)).toMatch(/^[A-Za-z0-9_-]{43}$/);
        expect(isHandle(handleOf(id))).toBe(true);
      }),
      runs,
    );
  });

  it("is the same each time, and never the same for two ids", () => {
    fc.assert(
      fc.property(anyString, anyString, (one, other) => {
        expect(handleOf(one)).toBe(handleOf(one));
        expect(handleOf(one) === handleOf(other)).toBe(one === other);
      }),
      runs,
    );
  });

  it("tells apart ids that differ in a lone surrogate alone", () => {
    const surrogate = fc.integer({ min: 0xd800, max: 0xdfff }).map((unit) => String.fromCharCode(unit));
    fc.assert(
      fc.property(fc.string(), surrogate, surrogate, (text, one, other) => {
        expect(handleOf(text + one) === handleOf(text + other)).toBe(one === other);
        expect(handleOf(text + one)).not.toBe(handleOf(`${text}\ufffd`));
      }),
      runs,
    );
  });

  it("does not contain the id", () => {
    const id = fc.stringMatching(/^[A-Za-z0-9_-]{6,40}$/);
    fc.assert(
      fc.property(id, (text) => {
        expect(handleOf(text)).not.toContain(text);
      }),
      runs,
    );
  });

  it.each([undefined, null, 5, {}, ["a"], Symbol("a"), 1n].map((id) => ({ id })))(
    "of something that is no string is a TypeError that does not quote it",
    ({ id }) => {
      expect(() => handleOf(id as never)).toThrow(TypeError);
      expect(() => handleOf(id as never)).toThrow(/session id.*string/);
    },
  );

  it.each(
    ["", "a", "x".repeat(42), "x".repeat(44), `${"x".repeat(42)}.`, `${"x".repeat(42)}\n`, 5, null].map(
      (value) => ({ value }),
    ),
  )("is not $value", ({ value }) => {
    expect(isHandle(value)).toBe(false);
  });
});

describe("names in a subject", () => {
  it("no bucket name or prefix that is taken can widen a subject", () => {
    const risky = fc.string({
      unit: fc.constantFrom("a", "Z", "9", "-", "_", ".", "*", ">", " ", "$", "\n", "é"),
    });
    fc.assert(
      fc.property(risky, (text) => {
        if (isBucketName(text)) expect(text).toMatch(/^[\w-]+$/);
        if (isPrefix(text)) for (const token of text.split(".")) expect(token).toMatch(/^[\w-]+$/);
      }),
      runs,
    );
  });

  it.each(["a\n", "\na", "a.b\n", ""])("%j is neither", (text) => {
    expect(isBucketName(text)).toBe(false);
    expect(isPrefix(text)).toBe(false);
  });

  it("session keys begin with the prefix and `s`", () => {
    expect(sessionKeyStart(undefined)).toBe("s.");
    expect(sessionKeyStart("shop.eu")).toBe("shop.eu.s.");
  });
});
