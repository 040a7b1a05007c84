import {
  createUserDirectory,
  demoAccounts,
  isVisitorGone,
  logLine,
  Refusal,
  type Site,
  securityHeaders,
  type UserDirectory,
} from "example-login-shared";
import Koa from "koa";
import session from "koa-session";
import type { NatsStore } from "koa-session-nats";
import { deviceRoutes } from "./device-routes.js";
import { errorPages } from "./error-pages.js";
import { loginRoutes } from "./login-routes.js";
import { openRoutes } from "./open-routes.js";

export interface AppOptions {
  /** Where sessions are kept. */
  store: NatsStore;
  /** Signs the session cookie. */
  secret: string;
  /** Browsers come over TLS, which a proxy in front of the application ends. Default: `false`. */
  secure?: boolean;
  /** Ends the event streams of the devices pages, which would go on for ever. Default: never. */
  ending?: AbortSignal;
  /** Default: `koa-login`, with the prefix `__Host-` when `secure`. */
  cookieName?: string;
  /** Milliseconds until an unused session ends. Default: 24 hours. */
  maxAge?: number;
  /** Who may sign in. Default: the people of the demo. */
  users?: UserDirectory;
}

export function createApp(options: AppOptions): Koa {
  const { store, secret, secure = false, maxAge = 24 * 60 * 60_000 } = options;
  const { ending = new AbortController().signal } = options;
  const key = options.cookieName ?? `${secure ? "__Host-" : ""}koa-login`;
  const cookie = { httpOnly: true, sameSite: "lax", secure, signed: true };
  const site: Site = { framework: "Koa" };
  const headers = securityHeaders(secure);

  const app = new Koa({ keys: [secret], proxy: secure, maxIpsCount: 1 });
  // What comes here was thrown after the answer had begun: before, there are the error pages.
  app.on("error", (error, ctx) => {
    if (!isVisitorGone(error)) console.error(logLine(ctx.method, ctx.path, error));
  });
  app.use((ctx, next) => {
    ctx.set(headers);
    return next();
  });
  app.use(errorPages(site));
  app.use(openRoutes(store.sessions).routes());
  app.use((ctx, next) => {
    if (secure && !ctx.secure) throw new Refusal(421);
    return next();
  });
  app.use(session({ store, key, ...cookie, maxAge, rolling: true }, app));
  const { users = createUserDirectory(demoAccounts) } = options;
  app.use(loginRoutes({ site, accounts: demoAccounts, users }).routes());
  app.use(deviceRoutes({ site, users, store, ending }).routes());
  app.use(() => {
    throw new Refusal(404);
  });
  return app;
}
