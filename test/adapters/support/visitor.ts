import request from "supertest";
import type { Step, Target, Visit } from "./visit.js";

/** How a request was answered. */
export interface Answer {
  readonly status: number;
  /** What the step returned, through JSON. */
  readonly result: unknown;
  /** The `code` of the error that the application answered with. */
  readonly code: string | undefined;
  /** The `Set-Cookie` lines as they came. */
  readonly setCookie: readonly string[];
}

/**
 * A browser that never throws a cookie away because of its age: whether a session has ended is for the store to
 * say, not for the client.
 */
export class Visitor<V extends Visit> {
  readonly #cookies = new Map<string, string>();
  #app: Target<V>;

  constructor(app: Target<V>) {
    this.#app = app;
  }

  /** The cookies as `name=value; …`, empty for somebody without any. */
  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** Sends one request that runs the step, to another application of the same sessions where one is given. */
  async visit(step: Step<V> = () => null, app: Target<V> = this.#app): Promise<Answer> {
    const sent = this.cookie;
    const get = request(app.url).get(app.pathOf(step));
    const response = await (sent === "" ? get : get.set("Cookie", sent));
    const setCookie = ([] as string[]).concat(response.headers["set-cookie"] ?? []);
    for (const line of setCookie) this.#keep(line);
    return { status: response.status, result: response.body.result, code: response.body.code, setCookie };
  }

  /** Somebody else with the same cookies from here on, perhaps at another application. */
  copy(app: Target<V> = this.#app): Visitor<V> {
    const copy = new Visitor(app);
    for (const [name, value] of this.#cookies) copy.#cookies.set(name, value);
    return copy;
  }

  /** Takes over cookies that no application gave. */
  with(cookies: Readonly<Record<string, string>>): this {
    for (const [name, value] of Object.entries(cookies)) this.#cookies.set(name, value);
    return this;
  }

  #keep(line: string): void {
    const [pair = ""] = line.split(";");
    const name = pair.slice(0, pair.indexOf("="));
    const value = pair.slice(name.length + 1);
    if (value === "") this.#cookies.delete(name);
    else this.#cookies.set(name, value);
  }
}
