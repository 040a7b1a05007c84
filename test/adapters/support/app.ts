import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Step, Target, Visit } from "./visit.js";
import { Visitor } from "./visitor.js";

/** Runs the step that a request names. */
export type RunStep<V extends Visit> = (url: string, visit: V) => Promise<{ result: unknown }>;

/** Builds the request listener of one framework; `onError` is told of each error that reaches the application. */
export type Build<V extends Visit> = (run: RunStep<V>, onError: (error: unknown) => void) => RequestListener;

const servers = new Set<Server>();

/** A running application: one HTTP server over one framework and one store. */
export class App<V extends Visit> implements Target<V> {
  /** The errors that reached the application's error handler. */
  readonly failures: unknown[] = [];
  readonly #steps = new Map<string, Step<V>>();
  readonly server: Server;

  private constructor(build: Build<V>) {
    const run: RunStep<V> = async (url, visit) => {
      const step = this.#steps.get(url);
      if (!step) throw new Error(`No step for ${url}`);
      this.#steps.delete(url);
      return { result: (await step(visit)) ?? null };
    };
    // A connection that is closed for being idle could take a request with it that is just being sent.
    this.server = createServer(
      { keepAliveTimeout: 0 },
      build(run, (error) => this.failures.push(error)),
    );
  }

  static async start<V extends Visit>(build: Build<V>): Promise<App<V>> {
    const app = new App(build);
    await new Promise<void>((resolve) => app.server.listen(0, "127.0.0.1", resolve));
    servers.add(app.server);
    return app;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  pathOf(step: Step<V>): string {
    const path = `/step/${steps++}`;
    this.#steps.set(path, step);
    return path;
  }

  /** Somebody without a cookie. */
  visitor(): Visitor<V> {
    return new Visitor(this);
  }
}

let steps = 1;

/** Stops every application that was started; for `afterAll`. */
export async function stopApps(): Promise<void> {
  await Promise.all([...servers].map(stop));
}

export function stopApp({ server }: { readonly server: Server }): Promise<void> {
  return stop(server);
}

function stop(server: Server): Promise<void> {
  servers.delete(server);
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
