import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { Browser } from "../../examples/browser.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { AppProcess, type Task } from "./app-process.js";
import { type Data, numbers } from "./browsing.js";

describe.each(["express", "koa"])("two processes of one %s application", (framework) => {
  let one: AppProcess;
  let two: AppProcess;

  beforeAll(async () => {
    const bucket = newBucket();
    [one, two] = await Promise.all([
      AppProcess.start(framework, inject("currentServer"), bucket),
      AppProcess.start(framework, inject("currentServer"), bucket),
    ]);
  });
  afterAll(async () => {
    expect(await Promise.all([one?.stop(), two?.stop()])).toEqual([0, 0]);
  });

  /** A request of the browser, to either process. @returns the session as it was loaded */
  async function ask(process: AppProcess, browser: Browser, task: Task = {}): Promise<Data> {
    const url = new URL(process.url);
    url.searchParams.set("task", JSON.stringify(task));
    const page = await browser.get(url.href);
    expect(page.status).toBe(200);
    return JSON.parse(page.text);
  }

  async function signedIn(data: Data = {}): Promise<Browser> {
    const browser = new Browser(one.url);
    await ask(one, browser, { set: { user: "ada", ...data } });
    return browser;
  }

  test("know the same sessions", async () => {
    const browser = await signedIn();
    expect(await ask(two, browser)).toEqual({ user: "ada" });
  });

  test("both keep what overlapping requests change, add and remove", async () => {
    const browser = await signedIn({ a: 1, b: 1, c: 1, d: 1 });
    const slow = ask(one, browser, { wait: "changes", set: { a: 2, e: "one" }, remove: ["c"] });
    await one.waitsAt("changes");
    await ask(two, browser, { set: { b: 2, f: "two" }, remove: ["d"] });
    one.go("changes");
    await slow;
    const all = { user: "ada", a: 2, b: 2, e: "one", f: "two" };
    expect(await ask(one, browser)).toEqual(all);
    expect(await ask(two, browser)).toEqual(all);
  });

  test("keep every key of ten requests at the same moment", async () => {
    const browser = await signedIn();
    const processOf = (n: number) => (n % 2 === 0 ? one : two);
    const answers = numbers(10).map((n) =>
      ask(processOf(n), browser, { wait: `key ${n}`, set: { [`key${n}`]: n } }),
    );
    await Promise.all(numbers(10).map((n) => processOf(n).waitsAt(`key ${n}`)));
    for (const n of numbers(10)) processOf(n).go(`key ${n}`);
    await Promise.all(answers);
    const added = Object.fromEntries(numbers(10).map((n) => [`key${n}`, n]));
    expect(await ask(one, browser)).toEqual({ user: "ada", ...added });
  });

  test("count together, where `resolve` adds up", async () => {
    const browser = await signedIn({ count: 0 });
    const processOf = (n: number) => (n % 2 === 0 ? one : two);
    const answers = numbers(6).map((n) => ask(processOf(n), browser, { wait: `count ${n}`, count: 1 }));
    await Promise.all(numbers(6).map((n) => processOf(n).waitsAt(`count ${n}`)));
    for (const n of numbers(6)) processOf(n).go(`count ${n}`);
    await Promise.all(answers);
    expect(await ask(two, browser)).toEqual({ user: "ada", count: 6 });
  });

  test("a reader in one writes nothing old over what the other has written", async () => {
    const browser = await signedIn({ a: 1 });
    const slow = ask(one, browser, { wait: "reader" });
    await one.waitsAt("reader");
    await ask(two, browser, { set: { a: 2 } });
    one.go("reader");
    expect(await slow).toEqual({ user: "ada", a: 1 });
    expect(await ask(one, browser)).toEqual({ user: "ada", a: 2 });
  });

  test.each<[string, Task]>([
    ["changes the session", { set: { a: 2 } }],
    ["only reads and renews it", {}],
  ])("a sign-out at one holds, although a request at the other is under way that %s", async (what, task) => {
    const browser = await signedIn({ a: 1 });
    const old = browser.copy();
    const before = one.gone.length;
    const slow = ask(one, browser.copy(), { wait: what, ...task });
    await one.waitsAt(what);
    await ask(two, browser, { signOut: true });
    one.go(what);
    expect(await slow).toEqual({ user: "ada", a: 1 });
    await until("the store to tell", () => one.gone.length > before);
    expect(one.gone.slice(before)).toMatchObject([{ handle: expect.stringMatching(/^[\w-]{43}$/) }]);
    expect(two.gone).toEqual([]);
    for (const process of [one, two]) {
      expect(await ask(process, old.copy())).toEqual({});
      expect(await ask(process, browser.copy())).toEqual({});
    }
  });

  test("sign-outs at both at the same moment both succeed", async () => {
    const browser = await signedIn();
    const old = browser.copy();
    const answers = [one, two].map((process) =>
      ask(process, browser.copy(), { wait: "sign-out", signOut: true }),
    );
    await Promise.all([one, two].map((process) => process.waitsAt("sign-out")));
    for (const process of [one, two]) process.go("sign-out");
    await Promise.all(answers);
    expect(await ask(one, old.copy())).toEqual({});
    expect(await ask(two, old.copy())).toEqual({});
  });
});
