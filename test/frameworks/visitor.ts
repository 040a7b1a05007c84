import { expect } from "vitest";
import { Browser } from "../examples/browser.js";
import { until } from "../support/wait.js";

/** What the applications of `programs` answer to `GET /`. */
interface View {
  readonly user: string | null;
  readonly data: Record<string, string>;
  readonly message?: string | null;
  readonly token?: string;
}

/** Uses an application of `programs`, which hold `POST /slow/:key` back until `POST /release`. */
export class Visitor {
  #token: string | undefined;

  constructor(private readonly browser: Browser) {}

  static at(url: string): Visitor {
    return new Visitor(new Browser(url));
  }

  /** Another visitor with the cookies that this one has now. */
  copy(): Visitor {
    const visitor = new Visitor(this.browser.copy());
    visitor.#token = this.#token;
    return visitor;
  }

  async view(): Promise<View> {
    const page = await this.browser.get("/");
    expect(page.status).toBe(200);
    const view: View = JSON.parse(page.text);
    this.#token = view.token;
    return view;
  }

  get() {
    return this.browser.get("/");
  }

  post(path: string) {
    const headers: Record<string, string> = this.#token === undefined ? {} : { "x-csrf-token": this.#token };
    return this.browser.request(path, { method: "POST", headers });
  }

  async signIn(): Promise<void> {
    await this.view();
    expect((await this.post("/sign-in?username=ada&password=right")).status).toBeLessThan(400);
  }

  /** Begins a request that saves only after `release`. */
  async begin(path: string): Promise<{ release(): Promise<void> }> {
    const response = this.post(path);
    await until("the request waits", async () => (await this.browser.get("/waiting")).text === "1");
    return {
      release: async () => {
        await this.browser.request("/release", { method: "POST" });
        await response;
      },
    };
  }
}
