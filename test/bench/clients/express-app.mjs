import { once } from "node:events";
import express from "express";
import session from "express-session";
import { openStore } from "../stores.mjs";
import { sessionData } from "./sessions.mjs";

const DAY = 86_400_000;

/**
 * An application whose users sign in, read, change their session and sign out; without a store it has no sessions.
 * @param first a middleware that comes before all others
 */
export async function open({ store: settings, first }) {
  const { store, close } = await openStore(settings);
  const app = express();
  app.disable("x-powered-by");
  if (first) app.use(first);
  if (store) {
    app.use(
      session({
        store,
        secret: "of the benchmark only",
        resave: false,
        saveUninitialized: false,
        cookie: { maxAge: DAY, sameSite: "lax" },
      }),
    );
    app.use(["/read", "/write", "/sign-out"], (req, res, next) => {
      if (req.session.user) next();
      else res.status(401).send("Nobody is signed in");
    });
  }
  app.get("/read", (req, res) => {
    res.send(`Hello ${req.session?.user.name ?? "world"}`);
  });
  app.get("/write", (req, res) => {
    if (store) req.session.visits++;
    res.send(`Hello ${req.session?.user.name ?? "world"}`);
  });
  app.post("/sign-in", (req, res, next) => {
    if (!store) return res.send("Welcome");
    req.session.regenerate((error) => {
      if (error) return next(error);
      const { cookie: _, ...data } = sessionData(1);
      Object.assign(req.session, data);
      res.send("Welcome");
    });
  });
  app.post("/sign-out", (req, res, next) => {
    if (!store) return res.send("Goodbye");
    req.session.destroy((error) => (error ? next(error) : res.send("Goodbye")));
  });

  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: () => `http://127.0.0.1:${server.address().port}`,
    /** CPU time of this process in µs. */
    cpu: () => {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    close: async () => {
      server.closeAllConnections();
      await close();
    },
  };
}
