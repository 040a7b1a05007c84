import fc from "fast-check";
import type { Resolve } from "nats-session-store";
import { describe, expect, it, vi } from "vitest";
import { merge } from "../../../packages/core/src/operations/merge.js";

type Data = Record<string, unknown>;

const textOf = (_key: string, value: unknown) => (value === undefined ? "" : JSON.stringify(value));
const oursWins: Resolve = (_key, { ours }) => ours;
const mergeOf = (base: Data, ours: Data, theirs: Data, resolve = oursWins) =>
  merge(base, ours, theirs, { textOf, resolve });

describe("a three-way merge", () => {
  it("keeps what either side added, changed or removed", async () => {
    const base = { same: 1, ourChange: 1, theirChange: 1, ourRemoval: 1, theirRemoval: 1 };
    const ours = { same: 1, ourChange: 2, theirChange: 1, theirRemoval: 1, ourNew: 1 };
    const theirs = { same: 1, ourChange: 1, theirChange: 2, ourRemoval: 1, theirNew: 1 };
    expect(await mergeOf(base, ours, theirs)).toEqual({
      data: { same: 1, ourChange: 2, theirChange: 2, ourNew: 1, theirNew: 1 },
      differs: true,
    });
  });

  it("says that the result is ours where the other side changed nothing", async () => {
    expect(await mergeOf({ a: 1 }, { a: 2, b: 1 }, { a: 1 })).toEqual({
      data: { a: 2, b: 1 },
      differs: false,
    });
  });

  it("compares values as they are stored, and does not look inside for single changes", async () => {
    const base = { list: [1], deep: { a: 1, b: 1 } };
    const ours = { list: [1], deep: { a: 2, b: 1 } };
    const theirs = { list: [1, 2], deep: { a: 1, b: 2 } };
    const { data } = await mergeOf(base, ours, theirs);
    expect(data).toEqual({ list: [1, 2], deep: { a: 2, b: 1 } });
  });

  it("asks `resolve` about each key that both sides changed, also to the same value, and about no other", async () => {
    const resolve = vi.fn<Resolve>((_key, { ours, theirs }) => [ours, theirs]);
    const { data } = await mergeOf({ a: 1, b: 1, c: 1 }, { a: 2, b: 2, c: 3 }, { a: 1, b: 3, c: 3 }, resolve);
    expect(data).toEqual({ a: 2, b: [2, 3], c: [3, 3] });
    expect(resolve.mock.calls).toEqual([
      ["b", { base: 1, ours: 2, theirs: 3 }],
      ["c", { base: 1, ours: 3, theirs: 3 }],
    ]);
  });

  it("waits for the answer of `resolve`, and removes the key where it is undefined", async () => {
    const conflict = [{ a: 1 }, { a: 2 }, { a: 3 }] as const;
    expect((await mergeOf(...conflict, async () => "later")).data).toEqual({ a: "later" });
    expect((await mergeOf(...conflict, () => undefined)).data).toEqual({});
  });

  it("gives `resolve` undefined for a side that removed the key", async () => {
    const resolve = vi.fn<Resolve>(() => "kept");
    await mergeOf({ a: 1 }, {}, { a: 2 }, resolve);
    expect(resolve).toHaveBeenCalledWith("a", { base: 1, ours: undefined, theirs: 2 });
  });

  it("sets no prototype and reads no inherited value", async () => {
    const parse = (text: string) => JSON.parse(text) as Data;
    const { data } = await mergeOf({}, { a: 1 }, parse('{"__proto__":{"polluted":1},"toString":1}'));
    expect(Object.getPrototypeOf(data)).toBe(Object.prototype);
    expect(({} as Data).polluted).toBeUndefined();
    expect(data.toString).toBe(1);
    expect((await mergeOf({}, {}, { a: 1 })).data).not.toHaveProperty("constructor", 1);
  });
});

describe("for any three versions of a session", () => {
  const data = fc.dictionary(
    fc.constantFrom("a", "b", "c", "d", "toString"),
    fc.constantFrom(1, 2, "x", null),
    {
      noNullPrototype: true,
    },
  );

  it("the side that changed something wins over one that changed nothing", () =>
    fc.assert(
      fc.asyncProperty(data, data, async (base, other) => {
        expect((await mergeOf(base, base, other)).data).toEqual(other);
        expect((await mergeOf(base, other, base)).data).toEqual(other);
      }),
    ));

  it("each key is what the rules give, and the order of the sides matters only where both changed it", () =>
    fc.assert(
      fc.asyncProperty(data, data, data, async (base, ours, theirs) => {
        const one = (await mergeOf(base, ours, theirs)).data;
        const other = (await mergeOf(base, theirs, ours)).data;
        for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs), ...Object.keys(base)])) {
          const [b, o, t] = [base, ours, theirs].map((side) =>
            Object.hasOwn(side, key) ? side[key] : undefined,
          );
          const expected = o === b ? t : o;
          expect(Object.hasOwn(one, key) ? one[key] : undefined).toEqual(expected);
          if (o === b || t === b || o === t)
            expect(Object.hasOwn(other, key) ? other[key] : undefined).toEqual(expected);
        }
      }),
    ));

  it("merging the result again changes nothing", () =>
    fc.assert(
      fc.asyncProperty(data, data, data, async (base, ours, theirs) => {
        const merged = (await mergeOf(base, ours, theirs)).data;
        expect((await mergeOf(base, ours, merged)).data).toEqual(merged);
      }),
    ));
});
