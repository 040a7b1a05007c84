import type { NatsStore } from "connect-nats";
import {
  assetCacheControl,
  createUserDirectory,
  demoAccounts,
  healthOf,
  Refusal,
  readAssets,
  type Site,
  securityHeaders,
  type UserDirectory,
} from "example-login-shared";
import express, { type CookieOptions, type Express, type Response } from "express";
import session from "express-session";
import { deviceRoutes } from "./device-routes.js";
import { errorPages } from "./error-pages.js";
import { loginRoutes } from "./login-routes.js";

export interface AppOptions {
  /** Where sessions are kept. */
  store: NatsStore;
  /** Signs the session cookie. */
  secret: string;
  /** Browsers come over TLS, which one proxy in front of the application ends. Default: `false`. */
  secure?: boolean;
  /** Ends the event streams of the devices pages, which would go on for ever. Default: never. */
  ending?: AbortSignal;
  /** Default: `express-login`, with the prefix `__Host-` when `secure`. */
  cookieName?: string;
  /** Milliseconds until an unused session ends. Default: 24 hours. */
  maxAge?: number;
  /** Who may sign in. Default: the people of the demo. */
  users?: UserDirectory;
}

export function createApp(options: AppOptions): Express {
  const { store, secret, secure = false, maxAge = 24 * 60 * 60_000 } = options;
  const { ending = new AbortController().signal } = options;
  const cookieName = options.cookieName ?? `${secure ? "__Host-" : ""}express-login`;
  const cookie: CookieOptions = { httpOnly: true, sameSite: "lax", secure, path: "/" };
  const site: Site = { framework: "Express" };
  const headers = securityHeaders(secure);

  const app = express();
  app.disable("x-powered-by");
  app.set("trust proxy", secure ? 1 : false);
  app.use((_req, res, next) => {
    res.set(headers);
    next();
  });

  app.get("/healthz", async (_req, res) => {
    const { status, body } = await healthOf(store.sessions);
    res.status(status).json(body);
  });
  for (const { path, type, content } of readAssets()) {
    app.get(path, (_req, res) => {
      res.set({ "Content-Type": type, "Cache-Control": assetCacheControl }).send(content);
    });
  }
  app.use((req, _res, next) => next(secure && !req.secure ? new Refusal(421) : undefined));

  app.use(
    session({
      store,
      secret,
      name: cookieName,
      cookie: { ...cookie, maxAge },
      saveUninitialized: false,
      resave: false,
      rolling: true,
    }),
  );
  const { users = createUserDirectory(demoAccounts) } = options;
  const forgetCookie = (res: Response): void => void res.clearCookie(cookieName, cookie);
  app.use(loginRoutes({ site, accounts: demoAccounts, users, forgetCookie }));
  app.use("/devices", deviceRoutes({ site, users, store, ending, forgetCookie }));
  app.use((_req, _res, next) => next(new Refusal(404)));
  app.use(errorPages(site));
  return app;
}
