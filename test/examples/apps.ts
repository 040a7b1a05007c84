import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { NatsConnection } from "@nats-io/transport-node";
import { NatsStore as ExpressStore } from "connect-nats";
import { createApp as createExpressApp } from "example-express-login";
import { createApp as createKoaApp } from "example-koa-login";
import { createUserDirectory, demoAccounts, storeOptions } from "example-login-shared";
import { NatsStore as KoaStore } from "koa-session-nats";
import type { SessionRecord, SessionStoreOptions, UserSession } from "nats-session-store";
import { answered } from "../support/answered.js";

/** What the tests use of a `SessionStore`, whatever data it holds. */
export interface Sessions {
  handles(): AsyncIterable<string>;
  load(id: string): Promise<SessionRecord<object> | null>;
  save(id: string, data: object, options?: { record?: unknown; ttl?: unknown }): Promise<unknown>;
  listByUser(user: string): AsyncIterable<UserSession<object>>;
  clear(): Promise<void>;
}

export interface RunningApp {
  url: string;
  sessions: Sessions;
  close(): Promise<void>;
}

export interface StartOptions {
  secure?: boolean;
  /** Options of the store that differ from the tests' usual ones. */
  store?: SessionStoreOptions;
}

export interface LoginExample {
  framework: string;
  cookieName: string;
  start(nc: NatsConnection, options?: StartOptions): Promise<RunningApp>;
}

const secret = "only for these tests";
/** The usual hash of a password takes a processor a fifth of a second. */
const users = createUserDirectory(demoAccounts, { N: 2 });
/** Patient, for a busy machine; outages are seen through {@link startHasty}. */
const usualOptions: SessionStoreOptions = {
  ...storeOptions({ maxSessionsPerUser: undefined }),
  timeout: 20_000,
};

export const loginExamples: LoginExample[] = [
  {
    framework: "Express",
    cookieName: "express-login",
    async start(nc, { store: storeOptions, ...options } = {}) {
      const store = await ExpressStore.open(nc, { ...usualOptions, ...storeOptions });
      return listen(createExpressApp({ store, secret, users, ...options }), store);
    },
  },
  {
    framework: "Koa",
    cookieName: "koa-login",
    async start(nc, { store: storeOptions, ...options } = {}) {
      const store = await KoaStore.open(nc, { ...usualOptions, ...storeOptions });
      return listen(createKoaApp({ store, secret, users, ...options }).callback(), store);
    },
  },
];

/**
 * An application beside a usual one, on the same sessions, that soon gives up on a server which does not answer.
 * Only what is asked during an outage should be asked of it: a busy machine is too slow for it too.
 */
export function startHasty(
  example: LoginExample,
  nc: NatsConnection,
  store: SessionStoreOptions = {},
): Promise<RunningApp> {
  return answered(() => example.start(nc, { store: { timeout: 1_000, ...store } }));
}

async function listen(
  listener: RequestListener,
  store: { sessions: Sessions; close(): Promise<void> },
): Promise<RunningApp> {
  // A connection that is closed for being idle could take a request with it that is just being sent.
  const server = createServer({ keepAliveTimeout: 0 }, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sessions: store.sessions,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await store.close();
    },
  };
}
