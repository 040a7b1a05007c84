import { Kvm } from "@nats-io/kv";
import { Flags, type FlagsOptions } from "example-kv-tour";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { type OwnServer, reconnected, startOwnServer, stateOf, take } from "./support.js";

let own: OwnServer;
const opened: Flags[] = [];

beforeAll(async () => {
  own = await startOwnServer();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((flags) => flags.close()));
});
afterAll(() => own?.stop());

async function open(bucket: string, options: FlagsOptions = {}): Promise<Flags> {
  const flags = await Flags.open(own.nc, { bucket, ...options });
  opened.push(flags);
  return flags;
}

const users = Array.from({ length: 10_000 }, (_, number) => `user-${number}`);
const enabledFor = (flags: Flags, name: string) => users.filter((user) => flags.isEnabled(name, user));

test("off by default, enable, disable, list, delete", async () => {
  const flags = await open(newBucket());
  expect(flags.isEnabled("shop", "ann")).toBe(false);
  expect(flags.list()).toEqual({});
  for (const name of ["constructor", "__proto__", "toString"]) expect(flags.isEnabled(name)).toBe(false);

  await flags.enable("shop");
  expect([flags.isEnabled("shop"), flags.isEnabled("shop", "ann")]).toEqual([true, true]);
  await flags.enable("beta.search", 12.5);
  expect(Object.entries(flags.list())).toEqual([
    ["beta.search", 12.5],
    ["shop", 100],
  ]);
  await flags.disable("shop");
  expect([flags.isEnabled("shop"), flags.isEnabled("shop", "ann")]).toEqual([false, false]);
  await flags.delete("shop");
  expect(flags.list()).toEqual({ "beta.search": 12.5 });
});

test("a percentage is about right, is the same everywhere, and keeps who had it when it grows", async () => {
  const bucket = newBucket();
  const [here, there] = [await open(bucket), await open(bucket)];
  let before: string[] = [];
  for (const percent of [0.1, 1, 10, 50, 90, 99]) {
    await here.enable("shop", percent);
    await until("the percentage", () => there.list().shop === percent);
    const enabled = enabledFor(here, "shop");
    expect(Math.abs(enabled.length / 100 - percent)).toBeLessThan(1.5);
    expect(enabledFor(there, "shop")).toEqual(enabled);
    expect(before.filter((user) => !enabled.includes(user))).toEqual([]);
    before = enabled;
  }
  expect(here.isEnabled("shop")).toBe(false); // nobody in particular: only when on for all
});

test("a user's place in the row of a flag never changes", async () => {
  const flags = await open(newBucket());
  await flags.enable("shop", 10);
  // Another answer here would move users of a running application.
  expect(enabledFor(flags, "shop").slice(0, 5)).toEqual([
    "user-17",
    "user-20",
    "user-23",
    "user-31",
    "user-42",
  ]);
});

test("flags choose their users independently of each other", async () => {
  const flags = await open(newBucket());
  await flags.enable("a", 50);
  await flags.enable("b", 50);
  const both = enabledFor(flags, "a").filter((user) => flags.isEnabled("b", user));
  expect(both.length).toBeGreaterThan(2300);
  expect(both.length).toBeLessThan(2700);
});

test("a flag flipped elsewhere arrives, also after a restart of the server", async () => {
  const bucket = newBucket();
  const [here, there] = [await open(bucket), await open(bucket)];
  const heard: [string, number][] = [];
  here.onChange((...change) => heard.push(change));
  await there.enable("shop", 25);
  await until("the flag", () => here.list().shop === 25);
  const back = reconnected(own.nc);
  await own.server.kill();
  expect(here.list()).toEqual({ shop: 25 });
  await own.server.restart();
  await back;
  await there.disable("shop");
  await until("the flag to be off", () => here.list().shop === 0);
  expect(heard).toEqual([
    ["shop", 25],
    ["shop", 0],
  ]);
});

test("bad input is refused; the bucket and the flags stay as they were", async () => {
  const bucket = newBucket();
  const flags = await open(bucket);
  await flags.enable("shop", 10);
  const before = await stateOf(own.nc, bucket);
  for (const percent of [-1, 100.1, Number.NaN, Number.POSITIVE_INFINITY, "50" as never]) {
    await expect(flags.enable("shop", percent)).rejects.toThrow(
      'Expected the percentage of the flag "shop" to be 0 to 100',
    );
  }
  for (const name of ["", "a b", "a..b", ">", "*"]) {
    await expect(flags.enable(name)).rejects.toThrow("Expected a key of letters");
    await expect(flags.disable(name)).rejects.toThrow("Expected a key of letters");
    await expect(flags.delete(name)).rejects.toThrow("Expected a key of letters");
  }
  expect(await stateOf(own.nc, bucket)).toEqual(before);
  expect(flags.list()).toEqual({ shop: 10 });
});

test("what others store and is no flag is told and changes nothing", async () => {
  const bucket = newBucket();
  const errors: string[] = [];
  const flags = await open(bucket, { onError: ({ message }) => errors.push(message) });
  await flags.enable("shop", 10);
  const kv = await new Kvm(own.nc).open(bucket);
  const bad = ["", "on", "null", "true", '{"percent":"10"}', '{"percent":900}'];
  for (const [n, text] of bad.entries()) {
    await kv.put("shop", text);
    // The bucket keeps one value per key: a watch need not see one that is overwritten at once.
    await until(`word of "${text}"`, () => errors.length > n);
  }
  await kv.put("end", '{"percent":100}');
  await until("the last flag", () => flags.isEnabled("end"));
  expect(flags.list()).toEqual({ end: 100, shop: 10 });
  expect(errors).toHaveLength(bad.length);
  for (const error of errors) expect(error).toContain('"shop" holds what cannot be used');
});

test("the step of the tour", async () => {
  const { said, left } = await take("flags", own);
  expect(left).toEqual([]);
  expect(said).toContain("nobody has set new-shop, so it is off: ann sees the old shop");
  expect(said).toContain("\nenabled: ann sees the new shop");
  expect(said).toContain("\ndisabled: ann sees the old shop");
  expect(said).toMatch(
    /enabled for 10 %: (\d+) of .*\nenabled for 30 %: \d+ of 1000 users have it, \1 of the first \1 /,
  );
  expect(said).toContain('all flags, in percent: {"dark-mode":100,"new-shop":30}');
  expect(said).toContain("refused: Expected the percentage");
});
