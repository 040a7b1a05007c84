import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from "playwright-core";
import type { RunningApp } from "../examples/apps.js";

export const agents = {
  firefox: "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
  iPhone:
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
};

/** The machine may be busy. */
export const patience = 40_000;

/** Somebody with a browser of their own, who signs in by typing. */
export class Visitor {
  /** What the browser has complained about: scripts that throw, violations of the Content-Security-Policy, … */
  readonly complaints: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    readonly app: RunningApp,
  ) {
    this.#listenTo(page);
  }

  static async arrive(
    browser: Browser,
    app: RunningApp,
    options: BrowserContextOptions = {},
  ): Promise<Visitor> {
    const context = await browser.newContext({ viewport: { width: 720, height: 760 }, ...options });
    context.setDefaultTimeout(patience);
    return new Visitor(context, await context.newPage(), app);
  }

  /** Signs in as Ada and goes to the devices. */
  static async atDevices(
    browser: Browser,
    app: RunningApp,
    options: BrowserContextOptions = {},
  ): Promise<Visitor> {
    const visitor = await Visitor.arrive(browser, app, options);
    const { page } = visitor;
    await page.goto(`${app.url}/sign-in`);
    await page.getByLabel("User name").fill("ada");
    await page.getByLabel("Password").fill("lovelace");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("link", { name: "where you are signed in" }).click();
    await page.waitForURL("**/devices");
    if (options.javaScriptEnabled !== false) await following(page);
    return visitor;
  }

  /** Another tab of the same browser. */
  async anotherTab(): Promise<Page> {
    const page = await this.context.newPage();
    this.#listenTo(page);
    await page.goto(`${this.app.url}/devices`);
    await following(page);
    return page;
  }

  #listenTo(page: Page): void {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(error.message));
  }
}

/** Resolves when the page listens to what happens. */
export async function following(page: Page): Promise<void> {
  await page.locator("#devices[data-live]").waitFor();
}

/** The row of a browser with this name. */
export function row(page: Page, name: string): Locator {
  return page.getByRole("listitem").filter({ hasText: name });
}

/** Keeps a picture of the page for whoever wants to see what the tests saw. */
export async function picture(page: Page, name: string): Promise<void> {
  const path = fileURLToPath(new URL(`./artefacts/${name}.png`, import.meta.url));
  await page.screenshot({ path, animations: "disabled" });
}

/** Whether the page is wider than its window. */
export function scrollsSideways(page: Page): Promise<boolean> {
  return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
}

/** The visible words of what has the focus. */
export function focused(page: Page): Promise<string> {
  return page.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')");
}
