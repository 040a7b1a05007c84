import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const usualPaths = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/**
 * Path of a Chromium: `CHROMIUM_BIN`, else the system's. Where there is none the tests that need it are left out
 * with a notice, and fail when `CI` is set.
 */
export function findChromium(): string | undefined {
  const path = process.env.CHROMIUM_BIN || usualPaths.find((candidate) => existsSync(candidate));
  if (path !== undefined && existsSync(path)) return path;
  const notice = "No Chromium (set CHROMIUM_BIN, or install the package `chromium`)";
  if (process.env.CI) throw new Error(notice);
  console.warn(`${notice}: the tests in a real browser are left out.`);
  return undefined;
}

/** Starts it with a new, empty profile, and without anything that talks to its maker. */
export function startChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    timeout: 120_000,
    args: [
      "--no-sandbox",
      "--headless",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-quic",
    ],
  });
}
