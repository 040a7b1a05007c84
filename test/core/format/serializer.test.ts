import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_DEPTH } from "../../../packages/core/src/format/depth.js";
import {
  deserialize,
  isSame,
  jsonSerializer,
  type SessionSerializer,
  serialize,
  textOf,
} from "../../../packages/core/src/format/serializer.js";

const SECRET = "a word of the session";

/** Not JSON itself, so its text cannot be measured. */
const custom: SessionSerializer = {
  stringify: (data) => Buffer.from(JSON.stringify(data)).toString("base64"),
  parse: (text) => JSON.parse(Buffer.from(text, "base64").toString()),
};
const customAsync: SessionSerializer = {
  stringify: async (data) => custom.stringify(data),
  parse: async (text) => custom.parse(text),
};
const serializers = Object.entries({ JSON: jsonSerializer, custom, customAsync });

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text));
const parse = (text: string) => deserialize(bytesOf(text), jsonSerializer);
const code = (name: string, message: RegExp) =>
  expect.objectContaining({ code: name, message: expect.stringMatching(message) });

/** An object with so many levels, its own included. */
function nested(levels: number, wrap: (inner: object) => object = (inner) => ({ a: inner })): object {
  let data: object = {};
  for (let level = 1; level < levels; level++) data = wrap(data);
  return data;
}

const inArrays = (inner: object) => [inner];
const shapes = {
  objects: undefined,
  arrays: inArrays,
  both: (inner: object) => ({ text: '\\"{[', a: [inner] }),
};

describe.each(serializers)("session data with the serializer %s", (_name, serializer) => {
  it("are read as they were written", async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), async (given) => {
        const data = JSON.parse(JSON.stringify(given));
        Reflect.deleteProperty(data, "__proto__");
        const value = await serialize(data, serializer);
        expect(Buffer.from(await textOf(data, serializer)).equals(value)).toBe(true);
        if (!/__proto__|constructor/.test(JSON.stringify(data))) {
          expect(await deserialize(value, serializer)).toEqual(data);
        }
      }),
    );
  });

  it.each(Object.entries(shapes))("may have 500 levels and no more, in %s", async (shape, wrap) => {
    const most = shape === "both" ? MAX_DEPTH / 2 : MAX_DEPTH;
    const deepest = shape === "both" ? { a: nested(most, wrap) } : nested(most, wrap);
    expect(await deserialize(await serialize(deepest, serializer), serializer)).toEqual(deepest);
    for (const levels of [most + 1, 2 * most, 10_000]) {
      const error = await attempt(() => serialize(nested(levels, wrap), serializer));
      expect(error).toMatchObject({ code: "ERR_SESSION_SERIALIZE" });
    }
  });

  it("that are too deep are named as such", async () => {
    const error = await attempt(() => serialize(nested(MAX_DEPTH + 1), serializer));
    expect(error).toEqual(code("ERR_SESSION_SERIALIZE", /more than 500 levels/));
  });

  it.each([501, 2500, 5000])("that were stored %d levels deep are refused at reading", async (levels) => {
    const json = `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
    const text = serializer === jsonSerializer ? json : Buffer.from(json).toString("base64");
    const error = await attempt(() => deserialize(bytesOf(text), serializer));
    expect(error).toEqual(code("ERR_SESSION_CORRUPT", /more than 500 levels/));
  });

  it("with a cycle are refused", async () => {
    const data: Record<string, unknown> = { word: SECRET };
    data.self = [data];
    const error = await attempt(() => serialize(data, serializer));
    expect(error).toMatchObject({ code: "ERR_SESSION_SERIALIZE" });
    expect((error as Error).message).not.toContain(SECRET);
  });

  it("with a getter that throws are refused with its error as the cause", async () => {
    const cause = new Error("no");
    const data = Object.defineProperty({}, "a", {
      enumerable: true,
      get: () => {
        throw cause;
      },
    });
    expect(await attempt(() => serialize(data, serializer))).toMatchObject({
      code: "ERR_SESSION_SERIALIZE",
      cause,
    });
  });

  it.each(["", "null", "5", '"text"', "{", `{"word":"${SECRET}"`])(
    "that do not parse to an object are corrupt, and the error quotes nothing of %j",
    async (json) => {
      const text = serializer === jsonSerializer ? json : Buffer.from(json).toString("base64");
      const error = (await attempt(() => deserialize(bytesOf(text), serializer))) as Error;
      expect(error).toMatchObject({ code: "ERR_SESSION_CORRUPT" });
      expect(error.cause).toBeUndefined();
      expect(`${error.message}${error.stack}`).not.toContain(SECRET);
    },
  );
});

describe("JSON", () => {
  it("is written and read synchronously", () => {
    expect(serialize({ n: 1 }, jsonSerializer)).toBeInstanceOf(Uint8Array);
    expect(textOf({ n: 1 }, jsonSerializer)).toBe('{"n":1}');
    expect(parse('{"n":1}')).toEqual({ n: 1 });
  });

  it("of any structure is refused exactly when it has more than 500 levels", () => {
    const step = fc.constantFrom("[", "{", "]", "}", '"', "\\", '"[{"', '"\\\\"', '"\\"[["', "1");
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 480, max: 520 }), (noise, levels) => {
        const inner = JSON.stringify(noise);
        const text = `${'{"\\\\\\"":['.repeat(levels / 2)}${inner}${"]}".repeat(levels / 2)}`;
        const depth = 2 * Math.floor(levels / 2) + 1;
        const read = () => parse(text);
        if (depth > MAX_DEPTH) expect(read).toThrow(/more than 500 levels/);
        else expect(read()).toEqual(JSON.parse(text));
      }),
    );
  });

  it("may have any number of brackets in its texts, and of containers side by side", () => {
    const data = { text: "[{".repeat(5000), quoted: '\\"['.repeat(1000), list: Array(5000).fill({ a: [] }) };
    expect(deserialize(serialize(data, jsonSerializer) as Uint8Array, jsonSerializer)).toEqual(data);
  });

  it("that ends inside of a string does not parse", () => {
    expect(() => parse(`{"a":"${"[".repeat(2000)}`)).toThrow(/does not parse/);
  });

  it.each([
    '{"__proto__":{"admin":true},"n":1}',
    '{"\\u005f_proto__":{"admin":true},"n":1}',
    '{"n":1,"__proto__":null}',
  ])("drops the key __proto__ of %s, wherever it is", (text) => {
    for (const data of [parse(text), (parse(`{"deep":[${text}]}`) as { deep: object[] }).deep[0]]) {
      expect(Object.keys(data as object)).toEqual(["n"]);
      expect(Object.getPrototypeOf(data)).toBe(Object.prototype);
      expect((data as { admin?: boolean }).admin).toBeUndefined();
    }
  });

  it.each([
    ['{"constructor":{"name":"Ada"}}', { constructor: { name: "Ada" } }],
    ['{"constructor":"Lovelace & Sons"}', { constructor: "Lovelace & Sons" }],
    ['{"constructor":null,"prototype":1}', { constructor: null, prototype: 1 }],
    ['{"constructor":[1]}', { constructor: [1] }],
    ['{"constructor":{"prototype":{"admin":true},"name":"Ada"}}', { constructor: { name: "Ada" } }],
    ['{"c\\u006fnstructor":{"protot\\u0079pe":{"admin":true},"n":1}}', { constructor: { n: 1 } }],
    ['{"a":[{"constructor":{"prototype":1,"b":2}}]}', { a: [{ constructor: { b: 2 } }] }],
    ['{"note":"__proto__, constructor and \\u0000"}', { note: "__proto__, constructor and \0" }],
  ])("keeps of %s all that cannot change a prototype", (text, data) => {
    // Not by `toEqual`, which takes the key `constructor` for the class.
    expect(JSON.stringify(parse(text))).toBe(JSON.stringify(data));
  });

  it("that is not valid UTF-8 is corrupt", () => {
    const value = Buffer.from('{"a":"\xff"}', "latin1");
    expect(() => deserialize(value, jsonSerializer)).toThrow(code("ERR_SESSION_CORRUPT", /does not parse/));
  });

  it.each([{ toJSON: () => "text" }, { toJSON: () => 5 }, { toJSON: () => null }, new Date()])(
    "of data that serialise to something else than an object is refused at writing",
    (data) => {
      expect(() => serialize(data, jsonSerializer)).toThrow(code("ERR_SESSION_SERIALIZE", /object/));
    },
  );

  it.each([() => undefined, () => 1n])("of data that do not serialise is refused", (toJSON) => {
    expect(() => serialize({ toJSON }, jsonSerializer)).toThrow(code("ERR_SESSION_SERIALIZE", /./));
  });
});

describe("a custom serializer", () => {
  it("that returns no string is an error", async () => {
    const stringify = { ...custom, stringify: () => 5 as never };
    const later = { ...custom, stringify: async () => undefined as never };
    for (const serializer of [stringify, later]) {
      const error = await attempt(() => serialize({}, serializer));
      expect(error).toEqual(code("ERR_SESSION_SERIALIZE", /did not return a string/));
    }
  });

  it.each(["sync", "async"])(
    "that throws (%s) is an error with the cause at writing, and without at reading",
    async (kind) => {
      const cause = new Error(SECRET);
      const fail = kind === "sync" ? () => raise(cause) : () => Promise.reject(cause);
      const serializer = { stringify: fail, parse: fail };
      expect(await attempt(() => serialize({}, serializer))).toMatchObject({
        code: "ERR_SESSION_SERIALIZE",
        cause,
      });
      expect(await attempt(() => textOf({}, serializer))).toMatchObject({ code: "ERR_SESSION_SERIALIZE" });
      const error = (await attempt(() => deserialize(bytesOf("x"), serializer))) as Error;
      expect(error).toMatchObject({ code: "ERR_SESSION_CORRUPT" });
      expect(error.cause).toBeUndefined();
      expect(error.message).not.toContain(SECRET);
    },
  );

  it("may hold the same object many times: depth counts, not the number of paths", () => {
    let data: object = {};
    for (let level = 1; level < 40; level++) data = { left: data, right: data };
    const stringify = () => "text";
    expect(textOf(data, { ...custom, stringify })).toBe("text");
  });

  it("may hold large binary data", () => {
    const stringify = () => "text";
    expect(textOf({ bytes: new Uint8Array(10_000_000) }, { ...custom, stringify })).toBe("text");
  });
});

describe("two serialised sessions", () => {
  it("are the same when all their bytes are", () => {
    expect(isSame(bytesOf("ab"), bytesOf("ab"))).toBe(true);
    expect(isSame(bytesOf("ab"), bytesOf("ac"))).toBe(false);
    expect(isSame(bytesOf("ab"), bytesOf("abc"))).toBe(false);
    expect(isSame(bytesOf(""), bytesOf(""))).toBe(true);
  });
});

async function attempt(work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    return error;
  }
}

function raise(error: Error): never {
  throw error;
}
