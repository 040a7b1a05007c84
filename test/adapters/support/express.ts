import { createHmac } from "node:crypto";
import { NatsStore } from "connect-nats";
import express from "express";
import session, { type SessionOptions } from "express-session";
import { App } from "./app.js";
import type { Framework } from "./framework.js";
import type { Settings, Visit } from "./visit.js";

/** A request to an Express application. */
export interface ExpressVisit extends Visit {
  readonly req: express.Request;
}

type ExpressSettings = Settings & Omit<SessionOptions, "secret" | "store" | "rolling">;

const SECRET = "a secret of the tests";

export const expressFramework: Framework<ExpressVisit, NatsStore, ExpressSettings> = {
  name: "express-session",
  Store: NatsStore,

  start(store, { maxAge, ...settings } = {}) {
    return App.start<ExpressVisit>((run, onError) => {
      const app = express();
      const cookie = maxAge === undefined ? {} : { maxAge };
      app.use(
        session({ secret: SECRET, resave: false, saveUninitialized: false, cookie, ...settings, store }),
      );
      app.use(async (req, res) => {
        res.json(await run(req.url, visitOf(req)));
      });
      const report: express.ErrorRequestHandler = (error, _req, res, _next) => {
        onError(error);
        // express-session sends the headers before it stores: a late error finds them gone.
        if (!res.headersSent) res.status(500).json({ code: error.code });
      };
      app.use(report);
      return app;
    });
  },

  idOf(visitor) {
    const value = /^connect\.sid=(.*)$/.exec(visitor.cookie)?.[1];
    return value && decodeURIComponent(value).slice(2).split(".")[0];
  },

  cookiesOf(id) {
    const signature = createHmac("sha256", SECRET).update(id).digest("base64").replace(/=+$/, "");
    return { "connect.sid": encodeURIComponent(`s:${id}.${signature}`) };
  },
};

function visitOf(req: express.Request): ExpressVisit {
  const settled = (call: (done: (error?: unknown) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      call((error) => (error ? reject(error) : resolve()));
    });
  return {
    req,
    get session() {
      return req.session as unknown as Record<string, unknown>;
    },
    save: () => settled((done) => req.session.save(done)),
    regenerate: () => settled((done) => req.session.regenerate(done)),
    destroy: () => settled((done) => req.session.destroy(done)),
    setMaxAge: (ms) => {
      req.session.cookie.maxAge = ms;
    },
  };
}
