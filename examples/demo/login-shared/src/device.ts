import bowser from "bowser";

/** Where a sign-in came from, in words that tell a person's devices apart. */
export interface Device {
  /** Browser and system. */
  browser: string;
  kind: "phone" | "computer" | "other";
  /** Network address. */
  address: string;
  /** Name of the application that was signed in to. */
  app: string;
}

export interface SignInRequest {
  app: string;
  userAgent: string | undefined;
  address: string | undefined;
}

/** More than this of a user agent tells nothing. */
const userAgentLength = 512;

export function deviceOf({ app, userAgent, address = "" }: SignInRequest): Device {
  const { browser, os, platform } = bowser.parse(userAgent?.slice(0, userAgentLength) || "unknown");
  const names = [browser.name, os.name].filter(Boolean);
  return {
    browser: names.join(" on ") || "Unknown browser",
    kind: kinds.get(platform.type ?? "") ?? "other",
    // An IPv4 address as a socket for both versions tells it.
    address: address.replace(/^::ffff:(?=\d+\.)/, ""),
    app,
  };
}

const kinds: ReadonlyMap<string, Device["kind"]> = new Map([
  ["mobile", "phone"],
  ["tablet", "phone"],
  ["desktop", "computer"],
]);
