import { createUserDirectory, demoAccounts, Refusal, type Site, securityHeaders } from "example-login-shared";
import Koa from "koa";
import session, { type SessionOptions } from "koa-session";
import { errorPages } from "./error-pages.js";
import { loginRoutes } from "./login-routes.js";
import { openRoutes } from "./open-routes.js";

export interface AppOptions {
  /** Where sessions are kept. */
  store: NonNullable<SessionOptions["store"]>;
  /** Signs the session cookie. */
  secret: string;
  /** Browsers come over TLS, which a proxy in front of the application ends. Default: `false`. */
  secure?: boolean;
  /** Default: `koa-login`, with the prefix `__Host-` when `secure`. */
  cookieName?: string;
  /** Milliseconds until an unused session ends. Default: 24 hours. */
  maxAge?: number;
}

export function createApp(options: AppOptions): Koa {
  const { store, secret, secure = false, maxAge = 24 * 60 * 60_000 } = options;
  const key = options.cookieName ?? `${secure ? "__Host-" : ""}koa-login`;
  const cookie = { httpOnly: true, sameSite: "lax", secure, signed: true };
  const site: Site = { framework: "Koa" };
  const headers = securityHeaders(secure);

  const app = new Koa({ keys: [secret], proxy: secure });
  app.use((ctx, next) => {
    ctx.set(headers);
    return next();
  });
  app.use(errorPages(site));
  app.use(openRoutes().routes());
  app.use((ctx, next) => {
    if (secure && !ctx.secure) throw new Refusal(421);
    return next();
  });
  app.use(session({ store, key, ...cookie, maxAge, rolling: true }, app));
  app.use(loginRoutes({ site, accounts: demoAccounts, users: createUserDirectory(demoAccounts) }).routes());
  app.use(() => {
    throw new Refusal(404);
  });
  return app;
}
