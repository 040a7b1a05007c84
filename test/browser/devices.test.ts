import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type LoginExample, loginExamples, type RunningApp, startHasty } from "../examples/apps.js";
import { expireIn } from "../examples/device-list.js";
import { findChromium, startChromium } from "./chromium.js";
import { agents, focused, following, patience, picture, row, scrollsSideways, Visitor } from "./visitor.js";

const chromiumPath = findChromium();

describe.skipIf(chromiumPath === undefined)("the devices page in Chromium", { timeout: 240_000 }, () => {
  let server: NatsServer;
  let nc: NatsConnection;
  let browser: Browser;
  let express: RunningApp;
  let koa: RunningApp;

  beforeAll(async () => {
    [server, browser] = await Promise.all([startNatsServer(), startChromium(chromiumPath as string)]);
    nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const options = { store: { touchAfter: 0 } };
    [express, koa] = (await Promise.all(loginExamples.map(({ start }) => start(nc, options)))) as [
      RunningApp,
      RunningApp,
    ];
  }, 240_000);

  afterAll(async () => {
    await browser?.close();
    await Promise.all([express?.close(), koa?.close()]);
    await nc?.close();
    await server?.stop();
  });

  beforeEach(() => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    return () => vi.restoreAllMocks();
  });

  afterEach(async () => {
    await Promise.all((browser?.contexts() ?? []).map((context) => context.close()));
    await express?.sessions.clear();
  });

  test("shows both devices in both apps; one that is ended leaves every list at once, and its page goes to sign-in", async () => {
    const computer = await Visitor.atDevices(browser, express, { userAgent: agents.firefox });
    const onlooker = await computer.anotherTab();
    const phone = await Visitor.atDevices(browser, koa, {
      userAgent: agents.iPhone,
      viewport: { width: 390, height: 844 },
    });

    for (const page of [computer.page, onlooker]) {
      await row(page, "Firefox on Linux").getByText("This device", { exact: true }).waitFor();
      await row(page, "Safari on iOS").getByText("Koa app").waitFor();
    }
    await row(phone.page, "Safari on iOS").getByText("This device", { exact: true }).waitFor();
    await row(phone.page, "Firefox on Linux").getByText("Express app").waitFor();
    expect(await onlooker.getByRole("status").textContent()).toContain("Signed in: Safari on iOS (Koa)");
    await picture(computer.page, "devices");
    await picture(phone.page, "devices-phone");

    // It says so for a moment only.
    const told = phone.page.getByRole("alert").getByText("You were signed out on another device").waitFor();
    told.catch(() => {});
    await row(computer.page, "Safari on iOS").getByRole("button").click();
    await told;
    await picture(phone.page, "signed-out-phone");
    for (const page of [computer.page, onlooker]) {
      await row(page, "Safari on iOS").waitFor({ state: "detached" });
      await page.getByRole("status").getByText("Signed out: Safari on iOS (Koa)").waitFor();
      expect(await page.getByRole("listitem").count()).toBe(1);
    }
    await phone.page.waitForURL("**/sign-in");
    expect([computer.complaints, phone.complaints]).toEqual([[], []]);
  });

  test("keeps what it says of the other devices fresh", async () => {
    const one = await Visitor.atDevices(browser, express);
    const other = await Visitor.atDevices(browser, koa, { userAgent: agents.firefox });
    const seen = row(one.page, "Firefox on Linux").getByText("Last seen").locator("time");
    await seen.getByText("just now").waitFor();
    const before = await seen.getAttribute("datetime");
    await other.page.goto(`${koa.url}/no-such-page`);
    await expect.poll(() => seen.getAttribute("datetime"), { timeout: patience }).not.toBe(before);
    expect(await one.page.getByRole("status").textContent()).toBe("Signed in: Firefox on Linux (Koa). ");
  });

  test("says what has ended where it stood, and times in the visitor's zone", async () => {
    const { page } = await Visitor.atDevices(browser, express, { timezoneId: "Asia/Tokyo" });
    await Visitor.atDevices(browser, koa, { userAgent: agents.firefox });
    await Visitor.atDevices(browser, koa, { userAgent: agents.iPhone });
    await row(page, "Safari on iOS").waitFor();
    const since = row(page, "Firefox on Linux").locator(".since time");
    expect(await since.textContent()).toBe("just now");
    const moment = new Date((await since.getAttribute("datetime")) ?? "");
    const hour = moment.toLocaleTimeString("en-GB", { timeZone: "Asia/Tokyo", timeStyle: "short" });
    expect(await since.getAttribute("title")).toContain(hour);

    await row(page, "Safari on iOS").getByRole("button").click();
    const note = page.locator("#devices .note", { hasText: "Signed out: Safari on iOS (Koa)" });
    await note.waitFor();
    // The list is fetched once more when the event comes, and the note stays.
    const around = () =>
      page.locator("#devices ul > li").evaluateAll((rows) => rows.map((one) => one.className));
    await expect.poll(around, { timeout: patience }).toEqual(["", "note ", ""]);
    expect(await page.getByRole("listitem").count()).toBe(2);
  });

  test("works by keyboard, and the focus stays where it is when the list changes", async () => {
    const person = await Visitor.atDevices(browser, koa, { userAgent: agents.firefox });
    const { page } = person;
    await Visitor.atDevices(browser, express, { userAgent: agents.iPhone });
    await row(page, "Safari on iOS").waitFor();

    await tabTo(page, "Sign out Safari on iOS (Express)");
    const outline = "getComputedStyle(document.activeElement).outlineStyle";
    expect(await page.evaluate(outline)).toBe("solid");
    const newest = await Visitor.atDevices(browser, express);
    await row(page, "Chrome on Linux").waitFor();
    expect(await focused(page)).toContain("Sign out Safari on iOS (Express)");

    await page.keyboard.press("Enter");
    await page.getByRole("status").getByText("Signed out: Safari on iOS (Express)").waitFor();
    expect(await focused(page)).toContain("Sign out Chrome on Linux (Express)");

    await row(newest.page, "Chrome on Linux").getByRole("button", { name: "Sign out this device" }).click();
    await row(page, "Chrome on Linux").waitFor({ state: "detached" });
    expect(await focused(page)).toContain("Sign out this device");
    await tabTo(page, "Sign out everywhere");
    await page.keyboard.press("Enter");
    await tabTo(page, "Yes, sign out everywhere");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/sign-in");
    expect(person.complaints).toEqual([]);
  });

  test("fits a phone of 360 pixels, light and dark", async () => {
    const viewport = { width: 360, height: 640 };
    const phone = await Visitor.atDevices(browser, koa, { viewport, userAgent: agents.iPhone });
    for (const colorScheme of ["light", "dark"] as const) {
      await phone.page.emulateMedia({ colorScheme });
      expect(await scrollsSideways(phone.page)).toBe(false);
      await picture(phone.page, `devices-360-${colorScheme}`);
    }
    for (const button of await phone.page.getByRole("button").all()) {
      expect((await button.boundingBox())?.height).toBeGreaterThanOrEqual(38);
    }
    expect(phone.complaints).toEqual([]);
  });

  test("works without script", async () => {
    const plain = await Visitor.atDevices(browser, express, { javaScriptEnabled: false });
    const other = await Visitor.atDevices(browser, koa, { userAgent: agents.firefox });
    await plain.page.reload();
    const told = other.page.getByText("You were signed out on another device").waitFor();
    told.catch(() => {});
    await row(plain.page, "Firefox on Linux").getByRole("button").click();
    await told;
    await plain.page.getByText("One other device was signed out.").waitFor();
    expect(await plain.page.getByRole("listitem").count()).toBe(1);
  });

  test("signing out the others renews this one's id, which its other tabs do not take for a sign-out", async () => {
    for (const app of [express, koa]) {
      const person = await Visitor.atDevices(browser, app);
      const tab = await person.anotherTab();
      const before = await thisHandle(tab);
      await person.page.getByRole("button", { name: "Sign out all others" }).click();
      await expect.poll(() => thisHandle(person.page), { timeout: patience }).not.toBe(before);
      await expect.poll(() => thisHandle(tab), { timeout: patience }).toBe(await thisHandle(person.page));
      expect(await tab.getByText("You were signed out").count()).toBe(0);
      expect(person.complaints).toEqual([]);
    }
  });

  test("says when the session has expired, which an open page does not prolong", async () => {
    const { page, context } = await Visitor.atDevices(browser, koa);
    const cookie = (await context.cookies()).find(({ name }) => name === "koa-login");
    const told = page.getByRole("alert").getByText("Your session has expired").waitFor();
    told.catch(() => {});
    await expireIn(2_000, koa, cookie?.value);
    await told;
  });

  test("takes an outage for an outage, and goes on by itself", async () => {
    const hasty = await startHasty(loginExamples[1] as LoginExample, nc, { touchAfter: 0, timeout: 2_000 });
    const { page } = await Visitor.atDevices(browser, koa);
    await Visitor.atDevices(browser, express, { userAgent: agents.firefox });
    await page.goto(`${hasty.url}/devices`);
    await following(page);
    await row(page, "Firefox on Linux").waitFor();
    await server.pause();
    try {
      await row(page, "Firefox on Linux").getByRole("button").click();
      await page.getByRole("status").getByText("cannot be reached just now").waitFor();
      await page.getByText("The list may be out of date").waitFor();
      expect(await page.getByText("You were signed out").count()).toBe(0);
    } finally {
      await server.resume();
    }
    await page.getByText("The list may be out of date").waitFor({ state: "detached" });
    await row(page, "Chrome on Linux").getByText("This device", { exact: true }).waitFor();
    expect(page.url()).toBe(`${hasty.url}/devices`);
    await page.close();
    await hasty.close();
  });
});

async function tabTo(page: Page, name: string): Promise<void> {
  for (let step = 0; step < 40; step++) {
    if ((await focused(page)).startsWith(name)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Nothing named "${name}" can be reached by keyboard`);
}

async function thisHandle(page: Page): Promise<string | null> {
  return page.locator("li[data-this]").getAttribute("data-handle");
}
