import { describe, expect, test } from "vitest";
import {
  changesOf,
  digestsOf,
  MARK,
  takenIn,
  takenWith,
  unmarked,
} from "../../../packages/core/src/format/migration-mark.js";

const same = (_key: string, value: unknown) => value;
const mark = (version: string, data: object) => ({ version, keys: digestsOf(data, same) });
const changes = (data: object, ...rest: [mark: unknown, taken?: Parameters<typeof changesOf>[2]]) => {
  const found = changesOf(data, rest[0], rest[1] ?? [], same);
  return found === "all" ? found : Object.fromEntries(found);
};

describe("what an old process has changed", () => {
  test("is what differs from the mark that it wrote back", () => {
    const given = { kept: 1, changed: 1, removed: 1 };
    expect(changes({ kept: 1, changed: 2, added: 3 }, mark("v1", given))).toEqual({
      changed: 2,
      removed: undefined,
      added: 3,
    });
  });

  test("is nothing where it wrote back what it was given, in whatever order of keys", () => {
    const given = { a: { x: 1, y: [1, { z: 2 }] }, b: null };
    expect(changes({ b: null, a: { y: [1, { z: 2 }], x: 1 } }, mark("v1", given))).toEqual({});
  });

  test("is counted once: what was taken under the same mark is what the next one is compared with", () => {
    const given = mark("v1", { a: 1 });
    const taken = takenWith([], { a: 2 }, given, same);
    expect(changes({ a: 2, b: 1 }, given, taken)).toEqual({ b: 1 });
    expect(changes({ a: 1, b: 1 }, given, taken)).toEqual({ a: 1, b: 1 });
  });

  test("is compared with what was there under a newer mark", () => {
    const taken = takenWith([], { a: 2 }, mark("v1", { a: 1 }), same);
    expect(changes({ a: 2 }, mark("v2", { a: 3 }), taken)).toEqual({ a: 2 });
  });

  test("is everything where nothing is known of what it started from", () => {
    expect(changes({ a: 1 }, undefined)).toBe("all");
    for (const odd of [7, "mark", [], {}, { version: 1, keys: {} }, { version: "v1" }]) {
      expect(changes({ a: 1 }, odd)).toBe("all");
    }
  });

  test("is everything where it has replaced the session as a whole", () => {
    const taken = takenWith([], { user: "ada", _maxAge: 1, cookie: {} }, undefined, same);
    expect(changes({ _maxAge: 1, cookie: {} }, undefined, taken)).toBe("all");
    expect(changes({ _maxAge: 1, cookie: {}, user: "bob" }, undefined, taken)).toEqual({ user: "bob" });
  });

  test("is told for the last three marks", () => {
    const given = (n: number) => mark(`v${n}`, { a: 0 });
    let taken = takenIn(undefined);
    for (const n of [1, 2, 3, 4]) taken = takenWith(taken, { a: n }, given(n), same);
    expect(taken.map(([version]) => version)).toEqual(["v2", "v3", "v4"]);
    expect(changes({ a: 3 }, given(3), taken)).toEqual({});
  });

  test("may be a key that an object has by its nature", () => {
    const data = JSON.parse('{"__proto__":1,"constructor":2,"toString":3}');
    expect(changes(data, mark("v1", {}))).toEqual(JSON.parse('{"__proto__":1,"constructor":2,"toString":3}'));
  });
});

test("what cannot be read as remembered is not remembered", () => {
  for (const odd of [undefined, 7, {}, [1], [["v1"]], [["v1", 2]], [[1, {}]]])
    expect(takenIn(odd)).toEqual([]);
});

test("a session is given without its mark, which is not changed itself", () => {
  const data = { a: 1, [MARK]: 7 };
  expect(unmarked(data)).toEqual({ data: { a: 1 }, mark: 7 });
  expect(data).toHaveProperty(MARK);
  const plain = { a: 1 };
  expect(unmarked(plain).data).toBe(plain);
});
