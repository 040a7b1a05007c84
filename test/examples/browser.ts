export interface Page {
  status: number;
  headers: Headers;
  text: string;
  /** `Set-Cookie` lines. */
  cookies: string[];
}

/** Fetches pages and keeps cookies; follows no redirects by itself. */
export class Browser {
  readonly cookies: Map<string, string>;

  constructor(
    readonly baseUrl: string,
    cookies: Iterable<[string, string]> = [],
    readonly headers: Record<string, string> = {},
  ) {
    this.cookies = new Map(cookies);
  }

  /** All cookies, as a request sends them. */
  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  get(path: string): Promise<Page> {
    return this.request(path, { method: "GET" });
  }

  /** Sends a form. */
  post(path: string, fields: Record<string, string>): Promise<Page> {
    return this.request(path, { method: "POST", body: new URLSearchParams(fields) });
  }

  async request(path: string, init: RequestInit): Promise<Page> {
    const response = await this.open(path, init);
    const cookies = response.headers.getSetCookie();
    return { status: response.status, headers: response.headers, text: await response.text(), cookies };
  }

  /** As `request`, but leaves the body to be read. */
  async open(path: string, init: RequestInit): Promise<Response> {
    const headers = {
      // The server could close a connection that has been idle just when the next request is sent on it.
      connection: "close",
      ...this.headers,
      ...(this.cookie && { cookie: this.cookie }),
      ...(init.headers as Record<string, string>),
    };
    const response = await fetch(new URL(path, this.baseUrl), { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) this.keep(line);
    return response;
  }

  /** A browser with the same cookies as this one has now. */
  copy(): Browser {
    return new Browser(this.baseUrl, this.cookies, this.headers);
  }

  /** The hidden token of the sign-in form. */
  async signInToken(): Promise<string> {
    return tokenOf(await this.get("/sign-in"));
  }

  async signIn(user = "ada", password = "lovelace"): Promise<Page> {
    return this.post("/sign-in", { csrf: await this.signInToken(), user, password });
  }

  /** Takes over a `Set-Cookie` line. */
  keep(line: string): void {
    const [pair = "", ...attributes] = line.split("; ");
    const name = pair.slice(0, pair.indexOf("="));
    const expires = attributes.find((attribute) => /^expires=/i.test(attribute))?.slice("expires=".length);
    if (expires !== undefined && Date.parse(expires) <= Date.now()) this.cookies.delete(name);
    else this.cookies.set(name, pair.slice(name.length + 1));
  }
}

export function tokenOf(page: Page): string {
  const token = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1];
  if (token === undefined) throw new Error(`No form token on a page with status ${page.status}`);
  return token;
}

/** The visit counter, if the page is a profile. */
export function visitsOf(page: Page): number | undefined {
  const shown = /<dd id="visits">(\d+)<\/dd>/.exec(page.text)?.[1];
  return shown === undefined ? undefined : Number(shown);
}
