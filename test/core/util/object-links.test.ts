import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { objectLinks } from "../../../packages/core/src/util/object-links.js";

class WithPrivate {
  #secret = 1;
  get secret() {
    return this.#secret;
  }
}

const throwing = new Proxy(
  {},
  { ownKeys: fail, get: fail, has: fail, isExtensible: fail, defineProperty: fail },
);

function fail(): never {
  throw new Error("a trap was called");
}

describe("a link from an object to a value", () => {
  it.each([
    ["a plain object", {}],
    ["an array", []],
    ["a frozen object", Object.freeze({ a: 1 })],
    ["an object without a prototype", Object.create(null)],
    ["an object of a class with private fields", new WithPrivate()],
    ["a Proxy whose traps throw", throwing],
    ["a Date", new Date(0)],
  ])("is found again by %s, and replaced by the next one", (_name, object) => {
    const links = objectLinks<string>();
    expect(links.get(object)).toBeUndefined();
    links.set(object, "one");
    expect(links.get(object)).toBe("one");
    links.set(object, "two");
    expect(links.get(object)).toBe("two");
  });

  it.each([[undefined], [null], [1], ["text"], [Symbol("s")], [() => {}]])("is none of %o", (value) => {
    expect(objectLinks().get(value)).toBeUndefined();
  });

  it("is one of its own in each set of links", () => {
    const [one, other] = [objectLinks<number>(), objectLinks<number>()];
    const object = {};
    one.set(object, 1);
    expect(other.get(object)).toBeUndefined();
    other.set(object, 2);
    expect([one.get(object), other.get(object)]).toEqual([1, 2]);
  });

  it("is not seen, and does not come along with a copy, a Proxy or an heir of the object", () => {
    const links = objectLinks<string>();
    const object = { visible: 1 };
    links.set(object, "hidden");
    expect(Reflect.ownKeys(object)).toEqual(["visible"]);
    expect(JSON.stringify(object)).toBe('{"visible":1}');
    expect(inspect(object, { showHidden: true })).not.toContain("hidden");
    for (const copy of [
      { ...object },
      structuredClone(object),
      new Proxy(object, {}),
      Object.create(object),
    ]) {
      expect(links.get(copy)).toBeUndefined();
    }
  });
});
