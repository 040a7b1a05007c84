import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  handleOf,
  indexKeyStart,
  isBucketName,
  isHandle,
  isPrefix,
  sessionKeyStart,
} from "../../../packages/core/src/format/keys.js";

const runs = { numRuns: 500 };

/** Any string that JavaScript can hold, lone surrogates and control characters among them. */
const anyString = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 60 })
    .map((units) => String.fromCharCode(...units)),
  fc.constantFrom("", "*", ">", "a.b", " ", "\0", "\r\n", "🍪", "\ud800", "\udc00", "__proto__"),
);

describe("handles", () => {
  it.each([
    ["", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"],
    ["abc", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"],
    ["ü€😀", createHash("sha256").update("ü€😀", "utf8").digest("base64url")],
  ])("the handle of %j is its SHA-256 in base64url", (id, handle) => {
    expect(handleOf(id)).toBe(handle);
  });

  it("every string gives 43 letters, digits, - and _: one token of a subject", () => {
    fc.assert(
      fc.property(anyString, (id) => {
        expect(handleOf(id)).toMatch(/^[A-Za-z0-9_-]{43}$/);
        expect(isHandle(handleOf(id))).toBe(true);
      }),
      runs,
    );
  });

  it("two ids have the same handle only if they are equal", () => {
    fc.assert(
      fc.property(anyString, anyString, (one, other) => {
        expect(handleOf(one) === handleOf(other)).toBe(one === other);
      }),
      runs,
    );
  });

  it("ids that differ only in a lone surrogate have different handles", () => {
    const surrogate = fc.integer({ min: 0xd800, max: 0xdfff }).map((unit) => String.fromCharCode(unit));
    fc.assert(
      fc.property(fc.string(), surrogate, surrogate, (text, one, other) => {
        expect(handleOf(text + one) === handleOf(text + other)).toBe(one === other);
        expect(handleOf(text + one)).not.toBe(handleOf(`${text}\ufffd`));
      }),
      runs,
    );
  });

  it("a handle does not contain the id", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{6,40}$/), (id) => {
        expect(handleOf(id)).not.toContain(id);
      }),
      runs,
    );
  });

  it.each([undefined, null, 5, {}, ["a"], Symbol("a"), 1n].map((id) => ({ id })))(
    "the id $id is a TypeError because it is not a string",
    ({ id }) => {
      expect(() => handleOf(id as never)).toThrow(TypeError);
      expect(() => handleOf(id as never)).toThrow(/session id.*string/);
    },
  );

  it.each(
    ["", "a", "x".repeat(42), "x".repeat(44), `${"x".repeat(42)}.`, `${"x".repeat(43)}\n`, 5, null].map(
      (value) => ({ value }),
    ),
  )("$value is not a handle", ({ value }) => {
    expect(isHandle(value)).toBe(false);
  });
});

describe("names in a subject", () => {
  it("no accepted bucket name or prefix can widen a subject", () => {
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

  it.each(["a\n", "\na", "a.b\n", ""])("%j is neither a bucket name nor a prefix", (text) => {
    expect(isBucketName(text)).toBe(false);
    expect(isPrefix(text)).toBe(false);
  });

  it("session keys begin with the prefix and `s`, index keys with the prefix and `u`", () => {
    expect(sessionKeyStart(undefined)).toBe("s.");
    expect(sessionKeyStart("shop.eu")).toBe("shop.eu.s.");
    expect(indexKeyStart(undefined)).toBe("u.");
    expect(indexKeyStart("shop.eu")).toBe("shop.eu.u.");
  });
});
