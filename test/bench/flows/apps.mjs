import { once } from "node:events";
import express from "express";
import session from "express-session";
import Koa from "koa";
import koaSession from "koa-session";

const DAY = 86_400_000;
let users = 0;

/** What a sign-in stores, of a user without another session. */
function newUser() {
  users++;
  return { user: { id: `user ${users}`, name: "Ada Lovelace" }, visits: 0 };
}

/**
 * An application of Express with the requests of {@link flows}.
 *
 * @param {import("express-session").Store} store
 * @returns {Promise<{ url: string, close: () => void }>}
 */
export function serveExpress(store) {
  const app = express();
  app.use(
    session({
      store,
      secret: "of the benchmark only",
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: DAY },
    }),
  );
  const signIn = (req) => Object.assign(req.session, newUser());
  const routes = {
    "/page": (_req, res) => res.send("page"),
    "/write": (req, res) => {
      req.session.visits++;
      res.send("written");
    },
    "/save": (req, res, next) => {
      req.session.visits++;
      req.session.save((error) => (error ? next(error) : res.send("saved")));
    },
    "/save-twice": (req, res, next) => {
      req.session.visits++;
      req.session.save((error) => {
        if (error) return next(error);
        req.session.visits++;
        res.send("saved");
      });
    },
    "/remember": (req, res) => {
      req.session.cookie.maxAge = 2 * DAY;
      res.send("remembered");
    },
    "/guest": (req, res) => {
      req.session.returnTo = "/page";
      res.send("please sign in");
    },
    "/sign-in": (req, res, next) => {
      req.session.regenerate((error) => {
        if (error) return next(error);
        signIn(req);
        res.send("welcome");
      });
    },
    // What `req.logIn` of passport 0.7 does (lib/sessionmanager.js).
    "/passport": (req, res, next) => {
      req.session.regenerate((error) => {
        if (error) return next(error);
        signIn(req);
        req.session.save((error) => (error ? next(error) : res.send("welcome")));
      });
    },
    "/sign-out": (req, res, next) => {
      req.session.destroy((error) => (error ? next(error) : res.send("goodbye")));
    },
  };
  for (const [path, route] of Object.entries(routes)) app.get(path, route);
  return serve(app);
}

/** The same for Koa, as far as koa-session has it. */
export function serveKoa(store) {
  const app = new Koa();
  app.keys = ["of the benchmark only"];
  app.use(koaSession({ store, maxAge: DAY }, app));
  app.use(async (ctx) => {
    const { path, session } = ctx;
    if (path === "/write" || path.startsWith("/save")) session.visits++;
    if (path.startsWith("/save")) await session.manuallyCommit();
    if (path === "/save-twice") session.visits++;
    if (path === "/remember") session.maxAge = 2 * DAY;
    if (path === "/guest") session.returnTo = "/page";
    if (path === "/sign-in") Object.assign(session, newUser());
    if (path === "/sign-out") ctx.session = null;
    ctx.body = "done";
  });
  return serve(app);
}

async function serve(app) {
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
