import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { NatsStore, type NatsStoreOptions } from "connect-nats";
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import session, { type SessionOptions } from "express-session";
import { inject, type TestContext } from "vitest";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { HeldLink } from "./held-link.js";
import { Outage } from "./outage.js";
import { RawClient } from "./raw-client.js";
import { WatchedSockets } from "./watched-sockets.js";

interface SiteSettings {
  /** Options of the store; its `timeout` is long unless one is given. */
  readonly store?: NatsStoreOptions;
  /** Handlers before and after the session's. */
  readonly before?: readonly RequestHandler[];
  readonly after?: readonly RequestHandler[];
  readonly routes: Readonly<Record<string, RequestHandler>>;
  readonly session?: Partial<SessionOptions>;
  /** In place of a handler that answers 503. */
  readonly onError?: ErrorRequestHandler;
  /** Adds the application's error handlers, in place of one that answers 503. */
  readonly addErrorHandlers?: (app: Express) => void;
  readonly listen?: (app: RequestListener) => Server;
  readonly isSecure?: boolean;
}

/**
 * An Express application over a link on which a test can hold nats-server's replies back, or cut it. Each request asks for a
 * path of `routes`; `/begin` signs in.
 */
export class Site {
  readonly link: HeldLink;
  readonly outage: Outage;
  readonly store: NatsStore;
  readonly sockets: WatchedSockets;
  /** Errors that reached the application's error handler. */
  readonly failures: { readonly error: unknown; readonly headersSent: boolean }[] = [];
  /** Responses that a handler has ended, and of which everything that leaves at once has left. */
  ends = 0;
  /** Saves that have begun. */
  saves = 0;
  #holdsSaves = false;
  readonly #server: Server;
  readonly #isSecure: boolean;

  private constructor(link: HeldLink, outage: Outage, store: NatsStore, settings: SiteSettings) {
    this.link = link;
    this.outage = outage;
    this.store = store;
    this.#isSecure = settings.isSecure ?? false;
    this.#server = (settings.listen ?? createServer)(this.#appOf(settings));
    store.set = (...args) => {
      this.saves++;
      return NatsStore.prototype.set.apply(store, args);
    };
    this.sockets = new WatchedSockets(this.#server, this.#isSecure ? "secureConnection" : "connection");
  }

  static async start(defer: TestContext["onTestFinished"], settings: SiteSettings): Promise<Site> {
    const link = await HeldLink.start(inject("currentServer"), defer);
    const outage = new Outage(link.url, defer);
    const options = { bucket: newBucket(), timeout: 30_000, ...settings.store };
    const store = await NatsStore.open(outage.connect, options);
    const site = new Site(link, outage, store, settings);
    defer(() => {
      site.release();
      return store.close();
    });
    await new Promise<void>((resolve) => site.#server.listen(0, "127.0.0.1", resolve));
    defer(() => {
      (site.#server as { closeAllConnections?(): void }).closeAllConnections?.();
      site.#server.close();
    });
    return site;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A connection with a session. */
  async client(defer: TestContext["onTestFinished"]): Promise<RawClient> {
    const client = await RawClient.open(this.port, defer, { tls: this.#isSecure });
    await client.get("/begin");
    await this.ended(1);
    Object.assign(this, { ends: 0, saves: 0 });
    this.sockets.writes = 0;
    return client;
  }

  /** Another connection of a client, whose session it has. */
  async clientOf(client: RawClient, defer: TestContext["onTestFinished"]): Promise<RawClient> {
    const again = await RawClient.open(this.port, defer, { tls: this.#isSecure });
    again.cookie = client.cookie;
    return again;
  }

  /** From the next request on, whose session is loaded first, nats-server's replies wait for `release`. */
  holdSaves(): void {
    this.#holdsSaves = true;
  }

  release(): void {
    this.#holdsSaves = false;
    this.link.release();
  }

  /** Until so many responses were ended: what has not left by now waits for the session's save. */
  async ended(count: number): Promise<void> {
    await until(`${count} ended responses`, () => this.ends >= count);
  }

  /** Until everything has left that leaves at once: Node writes what a turn has collected at the turn's end. */
  async turn(): Promise<void> {
    for (let turns = 0; turns < 2; turns++) await new Promise(setImmediate);
  }

  #appOf({
    before = [],
    after = [],
    routes,
    session: settings,
    onError,
    addErrorHandlers,
  }: SiteSettings): RequestListener {
    const app = express();
    for (const handler of before) app.use(handler);
    app.use(
      session({
        store: this.store,
        secret: "a secret of the tests",
        resave: false,
        saveUninitialized: false,
        cookie: { maxAge: 3_600_000 },
        ...settings,
      }),
    );
    for (const handler of after) app.use(handler);
    app.use(this.#watch);
    app.get("/begin", (req, res) => {
      setKey(req, "user", "ada");
      res.send("begun");
    });
    for (const [path, handler] of Object.entries(routes)) app.get(path, handler);
    const report: ErrorRequestHandler = (error, req, res, next) => {
      this.failures.push({ error, headersSent: res.headersSent });
      if (onError) return onError(error, req, res, next);
      if (!res.headersSent) res.status(503).send(String(error.code));
    };
    if (addErrorHandlers) addErrorHandlers(app);
    else app.use(report);
    return app as RequestListener;
  }

  #watch: RequestHandler = (_req, res, next) => {
    if (this.#holdsSaves) this.link.hold();
    const { end } = res;
    const counted = (...args: unknown[]) => {
      const result = (end as (...args: unknown[]) => typeof res).apply(res, args);
      void this.turn().then(() => this.ends++);
      return result;
    };
    res.end = counted as typeof end;
    next();
  };
}

/** Sets a key of the session that no type declares. */
export function setKey(req: { session: object }, key: string, value: unknown): void {
  (req.session as Record<string, unknown>)[key] = value;
}

export function keyOf(req: { session: object }, key: string): unknown {
  return (req.session as Record<string, unknown>)[key];
}
