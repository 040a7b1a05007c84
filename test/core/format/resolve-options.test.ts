import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { jsonSerializer } from "../../../packages/core/src/format/serializer.js";
import { resolveOptions } from "../../../packages/core/src/resolve-options.js";
import { optionValues } from "./option-values.js";

const DAY = 86_400_000;

const resolve = (given: unknown) => resolveOptions(given as never);

describe.each(Object.entries(optionValues))("the option `%s`", (name, { expected, refused, accepted }) => {
  it.each(refused.map((value) => ({ value })))(
    "does not accept $value, and the TypeError names it",
    ({ value }) => {
      const attempt = () => resolve({ [name]: value });
      expect(attempt).toThrow(TypeError);
      expect(attempt).toThrow(`\`${name}\``);
      expect(attempt).toThrow(expected);
    },
  );

  it.each(accepted.map((value) => ({ value })))("accepts $value", ({ value }) => {
    expect(() => resolve({ [name]: value })).not.toThrow();
  });

  it("has its default when it is undefined", () => {
    expect(resolve({ [name]: undefined })).toEqual({ ...resolve({}), resolve: expect.any(Function) });
  });
});

describe("an option out of range", () => {
  it.each(["ttl", "maxTtl", "absoluteTtl", "touchAfter"])(
    "%s is refused with the most that is possible",
    (name) => {
      expect(() => resolve({ [name]: 1e13 })).toThrow(
        new RegExp(`\`${name}\`.*9000000000000.*10000000000000`),
      );
    },
  );

  it("is not quoted in full when it is long", () => {
    for (const storage of ["x".repeat(10_000), Function(`/* ${"x".repeat(10_000)} */`)]) {
      expect(() => resolve({ storage })).toThrow(/^.{1,200}$/);
    }
  });
});

describe("options that contradict each other are refused:", () => {
  it("`ttl` above `maxTtl`, and the error names both", () => {
    const attempt = () => resolve({ ttl: 60_001, maxTtl: 60_000 });
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(/`ttl`.*`maxTtl`.*60000.*60001/);
  });

  it.each([
    [{ maxSessionsPerUser: 5 }, /`user`.*`maxSessionsPerUser`/],
    [{ cache: true, republish: false }, /`republish`.*`cache`/],
    [{ cache: { max: 5 }, republish: false }, /`republish`.*`cache`/],
    [{ persist: "async", replicas: 3 }, /`replicas`.*`persist/],
  ])("%j", (given, expected) => {
    expect(() => resolve(given)).toThrow(TypeError);
    expect(() => resolve(given)).toThrow(expected);
  });

  it.each([0, -1, 1.5, "5", Number.NaN, null])(
    "a limit of %s sessions for each user",
    (maxSessionsPerUser) => {
      expect(() => resolve({ user: () => "ada", maxSessionsPerUser })).toThrow(
        /`maxSessionsPerUser`.*whole number/,
      );
    },
  );

  it.each([
    { cache: false, republish: false },
    { persist: "async", replicas: 1 },
    { user: () => "ada", maxSessionsPerUser: 1 },
  ])("but not %j", (given) => {
    expect(() => resolve(given)).not.toThrow();
  });
});

describe("an unknown option", () => {
  it.each(["tll", "touchafter", "TTL", "__proto__x", "constructor", "toString"])(
    "%s is refused by name, with the list of the known ones",
    (name) => {
      const attempt = () => resolve({ [name]: 1 });
      expect(attempt).toThrow(TypeError);
      expect(attempt).toThrow(`\`${name}\``);
      expect(attempt).toThrow(/bucket.*ttl.*serializer/);
    },
  );

  it("is refused although its value is undefined", () => {
    expect(() => resolve({ tll: undefined })).toThrow("`tll`");
  });

  it("`__proto__` is refused, too", () => {
    expect(() => resolve(JSON.parse('{"__proto__": {"ttl": 1}}'))).toThrow("`__proto__`");
  });
});

describe("the options as a whole", () => {
  it.each([null, "sessions", 5, true, () => ({}), []].map((given) => ({ given })))(
    "are not $given: they must be an object",
    ({ given }) => {
      expect(() => resolve(given)).toThrow(TypeError);
      expect(() => resolve(given)).toThrow(/options.*object/);
    },
  );

  it("may be left out: these are the defaults", () => {
    expect(resolveOptions()).toEqual({
      bucket: "sessions",
      shards: 1,
      domain: undefined,
      apiPrefix: undefined,
      prefix: undefined,
      ttl: DAY,
      maxTtl: undefined,
      onTtlTooLong: "cut",
      absoluteTtl: undefined,
      touchAfter: undefined,
      timeout: 2000,
      reads: "any",
      maxLeaderSilence: 15_000,
      onConflict: "merge",
      resolve: expect.any(Function),
      user: undefined,
      maxSessionsPerUser: undefined,
      onLimit: "end-oldest",
      cache: undefined,
      serializer: jsonSerializer,
      encryption: undefined,
      createBucket: true,
      updateBucket: false,
      republish: true,
      asked: {
        replicas: undefined,
        storage: undefined,
        persist: undefined,
        maxBytes: undefined,
        compression: undefined,
        placement: undefined,
      },
    });
    expect(resolveOptions().resolve("n", { base: 1, ours: 2, theirs: 3 })).toBe(2);
  });

  it("give zero and false their own meaning, not the default's", () => {
    expect(
      resolve({ touchAfter: 0, createBucket: false, compression: false, republish: false }),
    ).toMatchObject({
      touchAfter: 0,
      createBucket: false,
      republish: false,
      asked: { compression: false },
    });
  });

  it("never leave `ttl` above a `maxTtl` that was given", () => {
    expect(resolve({ maxTtl: 60_000 })).toMatchObject({ ttl: 60_000, maxTtl: 60_000 });
    expect(resolve({ maxTtl: 60 * DAY })).toMatchObject({ ttl: DAY, maxTtl: 60 * DAY });
  });

  it("fill in what is left open of the cache", () => {
    const defaults = { max: 10_000, maxBytes: 67_108_864, maxStale: 1000 };
    expect(resolve({ cache: true }).cache).toEqual(defaults);
    expect(resolve({ cache: { max: undefined } }).cache).toEqual(defaults);
    expect(resolve({ cache: { maxBytes: 5 } }).cache).toEqual({ ...defaults, maxBytes: 5 });
    expect(resolve({ cache: false }).cache).toBeUndefined();
  });

  it("derive the keys of `encryption`, and its errors name the part", () => {
    const key = createSecretKey(Buffer.alloc(32, 1));
    expect(resolve({ encryption: { keys: [{ id: "a", key }] } }).encryption).toMatchObject({
      keys: [{ id: "a" }],
      allowPlain: false,
      userSecrets: [],
    });
    expect(() => resolve({ encryption: {} })).toThrow(/`encryption`.*`keys` or `userKeys`/);
    expect(() => resolve({ encryption: null })).toThrow(/`encryption` to be an object/);
  });

  it("are checked where they are inherited or come from a getter, too", () => {
    class Settings {
      get ttl() {
        return "soon";
      }
    }
    expect(() => resolve(Object.create({ ttl: -1 }))).toThrow("`ttl`");
    expect(() => resolve(new Settings())).toThrow("`ttl`");
  });
});

describe("the caller's object", () => {
  it("is not changed", () => {
    const given = { ttl: 60_000, placement: { tags: ["ssd"] }, cache: { max: 5 } };
    for (const part of [given, given.placement, given.placement.tags, given.cache]) Object.freeze(part);
    expect(resolveOptions(given)).toMatchObject({ ttl: 60_000, asked: { placement: { tags: ["ssd"] } } });
  });

  it("has no effect when it, or an object in it, changes after the call", () => {
    const given = {
      ttl: 60_000,
      placement: { cluster: "east", tags: ["ssd"] },
      cache: { max: 5 },
      serializer: { stringify: () => "{}", parse: (text: string): object => JSON.parse(text) },
    };
    const resolved = resolveOptions(given);
    given.ttl = 1;
    given.placement.cluster = "west";
    given.placement.tags.push("slow");
    given.cache.max = 6;
    given.serializer.parse = () => ({ changed: true });
    expect(resolved).toMatchObject({ ttl: 60_000, cache: { max: 5 } });
    expect(resolved.asked.placement).toEqual({ cluster: "east", tags: ["ssd"] });
    expect(resolved.serializer.parse('{"n":1}')).toEqual({ n: 1 });
  });

  it("may hold a serializer whose functions need their object", async () => {
    class Reversing {
      #turn = (text: string) => [...text].reverse().join("");
      stringify(data: object) {
        return this.#turn(JSON.stringify(data));
      }
      parse(text: string) {
        return JSON.parse(this.#turn(text)) as object;
      }
    }
    const { serializer } = resolveOptions({ serializer: new Reversing() });
    expect(await serializer.parse(await serializer.stringify({ n: 1 }))).toEqual({ n: 1 });
  });
});
