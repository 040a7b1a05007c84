import type { RunningApp } from "./apps.js";
import type { Browser, Page } from "./browser.js";
import { tokenOf } from "./browser.js";

/** A row of a devices page. */
export interface DeviceRow {
  handle: string;
  browser: string;
  isThis: boolean;
  /** All words of the row. */
  text: string;
}

export function devicesOn(page: Page): DeviceRow[] {
  return page.text
    .split("<li ")
    .slice(1)
    .map((row) => row.slice(0, row.indexOf("</li>")))
    .map((row) => ({
      handle: /data-handle="([\w-]+)"/.exec(row)?.[1] ?? "",
      browser: /<h2>([^<]+)/.exec(row)?.[1]?.trim() ?? "",
      isThis: row.includes("This device"),
      text: row
        .replace(/^[^>]*>/, "")
        .replaceAll(/<[^>]+>/g, " ")
        .replaceAll(/\s+/g, " ")
        .trim(),
    }));
}

/** What a browser sees of its devices. */
export async function devicesOf(browser: Browser): Promise<DeviceRow[]> {
  return devicesOn(await browser.get("/devices"));
}

/** Sends a form of the devices page. */
export async function sendDeviceForm(
  browser: Browser,
  path: string,
  fields: Record<string, string> = {},
): Promise<Page> {
  return browser.post(path, { csrf: tokenOf(await browser.get("/devices")), ...fields });
}

export async function handleOfThis(browser: Browser): Promise<string> {
  return (await devicesOf(browser)).find(({ isThis }) => isThis)?.handle ?? "";
}

export async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await browser.get("/")).status === 200;
}

/** Lets the session of a cookie end so many milliseconds from now, unless it is renewed before. */
export async function expireIn(milliseconds: number, app: RunningApp, cookie = ""): Promise<void> {
  const id = /^(?:s:)?([^.]+)/.exec(decodeURIComponent(cookie))?.[1] ?? "";
  const record = await app.sessions.load(id);
  if (record === null) throw new Error("The cookie is not of a live session");
  await app.sessions.save(id, record.data, { record, ttl: milliseconds });
}
