import type { SessionStoreOptions } from "nats-session-store";
import { openSessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveOptions } from "../../packages/core/src/options.js";
import { PATIENCE } from "../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";

const DAY = 86_400_000;

/** For each option values that do not fit, and what the error says was expected. */
const misfits: Record<string, { expected: RegExp; values: unknown[] }> = {
  bucket: { expected: /letters, digits, - and _/, values: ["", "a.b", "a b", "a*", ">", "é", 1, null, {}] },
  prefix: { expected: /letters, digits, - and _/, values: ["", ".", "a.", ".a", "a..b", "a b", "*", ">", 1] },
  ttl: { expected: /milliseconds/, values: [0, -5, Number.NaN, Number.POSITIVE_INFINITY, "60", null, 1n] },
  maxTtl: {
    expected: /milliseconds/,
    values: [0, 999, -1, Number.NaN, Number.POSITIVE_INFINITY, "1d", true],
  },
  absoluteTtl: { expected: /milliseconds/, values: [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "1", []] },
  touchAfter: { expected: /milliseconds/, values: [-1, Number.NaN, Number.POSITIVE_INFINITY, "0", false] },
  timeout: { expected: /milliseconds/, values: [0, -1, 2 ** 31, Number.NaN, "2000", null] },
  replicas: { expected: /whole number from 1 to 5/, values: [0, 6, 1.5, -1, "3", Number.NaN, null] },
  storage: { expected: /"file" or "memory"/, values: ["", "disk", "FILE", 1, null] },
  maxBytes: { expected: /bytes/, values: [0, -1, 1.5, 2 ** 60, Number.NaN, "1GB"] },
  compression: { expected: /boolean/, values: ["s2", 1, 0, null] },
  placement: {
    expected: /`cluster`.*`tags`/,
    values: ["east", null, [], 1, { cluster: 1 }, { tags: "a" }, { tags: [1] }, { region: "eu" }],
  },
  createBucket: { expected: /boolean/, values: ["true", 1, 0, null] },
  updateBucket: { expected: /boolean/, values: ["false", 1, 0, null] },
  serializer: {
    expected: /`stringify` and `parse`/,
    values: [
      null,
      {},
      "json",
      { stringify: JSON.stringify },
      { parse: JSON.parse },
      { stringify: 1, parse: 2 },
    ],
  },
};

const fitting: Record<string, unknown[]> = {
  bucket: ["a", "sessions-2_B"],
  prefix: ["a", "shop.eu-1.x_y"],
  ttl: [1, 1.5, 30 * DAY],
  maxTtl: [DAY, 36_500 * DAY],
  absoluteTtl: [1, 365 * DAY],
  touchAfter: [0, 1.5, DAY],
  timeout: [1, 2_147_483_647],
  replicas: [1, 5],
  storage: ["file", "memory"],
  maxBytes: [1, 2 ** 40],
  compression: [true, false],
  placement: [{ cluster: "east" }, { tags: [] }, { cluster: "east", tags: ["ssd"] }],
  createBucket: [true, false],
  updateBucket: [true, false],
  serializer: [JSON, { stringify: async () => "{}", parse: async () => ({}) }],
};

/** Never asked: options are checked before anything is sent. */
const unused = new Proxy({} as never, {
  get: (_target, name) => {
    if (name === "then") return undefined;
    throw new Error("the connection was used");
  },
});

const open = (options: unknown, nc: unknown = unused) => openSessionStore(nc as never, options as never);

describe.each(Object.entries(misfits))("`%s`", (name, { expected, values }) => {
  it.each(values.map((value) => ({ value })))("is refused: $value", async ({ value }) => {
    const opening = open({ [name]: value });
    await expect(opening).rejects.toBeInstanceOf(TypeError);
    await expect(opening).rejects.toThrow(`\`${name}\``);
    await expect(opening).rejects.toThrow(expected);
  });

  it.each(fitting[name]?.map((value) => ({ value })) ?? [])("is taken: $value", ({ value }) => {
    expect(() => resolveOptions({ [name]: value })).not.toThrow();
  });

  it("may be given as undefined, which is the default", () => {
    const functions = { resolve: expect.any(Function) };
    expect(resolveOptions({ [name]: undefined })).toEqual({ ...resolveOptions({}), ...functions });
  });
});

describe("an option out of range", () => {
  it.each(["ttl", "maxTtl", "absoluteTtl", "touchAfter"])("%s: the error says what the most is", (name) => {
    expect(() => resolveOptions({ [name]: 1e13 })).toThrow(
      new RegExp(`\`${name}\`.*9000000000000.*10000000000000`),
    );
  });

  it("`ttl` may not be more than `maxTtl`, and the error names both", async () => {
    const opening = open({ ttl: 60_001, maxTtl: 60_000 });
    await expect(opening).rejects.toBeInstanceOf(TypeError);
    await expect(opening).rejects.toThrow(/`ttl`.*`maxTtl`.*60000.*60001/);
  });

  it("that is long is not quoted in full", async () => {
    const error: TypeError = await open({ storage: "x".repeat(10_000) }).catch((e) => e);
    expect(error.message.length).toBeLessThan(200);
  });
});

describe("an unknown option", () => {
  it.each(["tll", "touchafter", "TTL", "__proto__x", "constructor", "toString"])(
    "%s is refused by name, with the list of those there are",
    async (name) => {
      const opening = open({ [name]: 1 });
      await expect(opening).rejects.toBeInstanceOf(TypeError);
      await expect(opening).rejects.toThrow(`\`${name}\``);
      await expect(opening).rejects.toThrow(/bucket.*ttl.*serializer/);
    },
  );

  it("is refused although its value is undefined", async () => {
    await expect(open({ tll: undefined })).rejects.toThrow("`tll`");
  });

  it("`__proto__` is refused too", async () => {
    await expect(open(JSON.parse('{"__proto__": {"ttl": 1}}'))).rejects.toThrow("`__proto__`");
  });
});

describe("the options as a whole", () => {
  it.each([null, "sessions", 5, true, () => ({}), []].map((options) => ({ options })))(
    "must be an object: $options",
    async ({ options }) => {
      await expect(open(options)).rejects.toBeInstanceOf(TypeError);
      await expect(open(options)).rejects.toThrow(/options.*object/);
    },
  );

  it("may be left out; these are the defaults", () => {
    expect(resolveOptions()).toMatchObject({
      bucket: "sessions",
      prefix: undefined,
      ttl: DAY,
      maxTtl: 30 * DAY,
      absoluteTtl: undefined,
      touchAfter: undefined,
      timeout: 2000,
      createBucket: true,
      updateBucket: false,
    });
    expect(Object.values(resolveOptions().asked)).toEqual(Array(5).fill(undefined));
  });

  it("give zero and false their meaning, not the default's", () => {
    expect(resolveOptions({ touchAfter: 0, createBucket: false, compression: false })).toMatchObject({
      touchAfter: 0,
      createBucket: false,
      asked: { compression: false },
    });
  });

  it("`ttl` left out is never more than `maxTtl`", () => {
    expect(resolveOptions({ maxTtl: 60_000 }).ttl).toBe(60_000);
  });

  it("are checked where they are inherited or come from a getter, too", () => {
    class Settings {
      get ttl() {
        return "soon";
      }
    }
    expect(() => resolveOptions(Object.create({ ttl: -1 }))).toThrow("`ttl`");
    expect(() => resolveOptions(new Settings() as never)).toThrow("`ttl`");
  });
});

describe("the caller's object", () => {
  const timeout = PATIENCE;
  let nc: Connection;
  beforeAll(async () => {
    nc = await connectCurrent();
  });
  afterAll(() => nc.close());

  it("is not changed", async () => {
    const options = deepFreeze({
      bucket: newBucket(),
      timeout,
      ttl: 60_000,
      placement: { tags: [] as string[] },
    });
    const before = structuredClone(options);
    const store = await openSessionStore(nc, options);
    await store.close();
    expect(options).toEqual(before);
  });

  it("has no effect when it changes after the call", async () => {
    const options: SessionStoreOptions = { bucket: newBucket(), timeout, ttl: 3_600_000, prefix: "one" };
    const bucket = options.bucket as string;
    const opening = openSessionStore(nc, options);
    Object.assign(options, { bucket: "a bad name", ttl: 1, prefix: "two", unknown: 1 });
    const store = await opening;
    const { record } = await store.save("id", { n: 1 });
    expect((record?.expiresAt as number) - Date.now()).toBeGreaterThan(3_000_000);
    await store.close();
    const same = await openSessionStore(nc, { bucket, timeout, prefix: "one" });
    expect(await same.load("id")).not.toBeNull();
    await same.close();
  });

  it("has no effect when what is inside it changes after the call", () => {
    const options = { placement: { cluster: "east", tags: ["ssd"] }, serializer: { ...JSON_LIKE } };
    const resolved = resolveOptions(options);
    options.placement.cluster = "west";
    options.placement.tags.push("slow");
    options.serializer.parse = () => ({ changed: true });
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
    const store = await openSessionStore(nc, { bucket: newBucket(), timeout, serializer: new Reversing() });
    await store.save("id", { n: 1 });
    expect((await store.load("id"))?.data).toEqual({ n: 1 });
    await store.close();
  });
});

describe("the connection", () => {
  it.each(
    [undefined, null, {}, "nats://127.0.0.1", 4222, { publish: () => {} }, Promise.resolve({})].map((nc) => ({
      nc,
    })),
  )("must be one: $nc", async ({ nc }) => {
    const opening = openSessionStore(nc as never);
    await expect(opening).rejects.toBeInstanceOf(TypeError);
    await expect(opening).rejects.toThrow(/NATS connection.*connect\(\)/);
  });

  it("may still be on its way", async () => {
    const nc = connectCurrent();
    const store = await openSessionStore(nc, { bucket: newBucket(), timeout: PATIENCE });
    expect(await store.load("id")).toBeNull();
    await store.close();
    await (await nc).close();
  });
});

const JSON_LIKE = {
  stringify: (data: object) => JSON.stringify(data),
  parse: (text: string): object => JSON.parse(text),
};

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === "object") deepFreeze(inner);
  return Object.freeze(value);
}
