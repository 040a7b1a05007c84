import { NatsStore } from "connect-nats";
import express from "express";
import session from "express-session";
import { act, serve } from "./serve.mjs";

await serve(async (nc, options) => {
  const store = await NatsStore.open(nc, options);
  const app = express();
  const cookie = { maxAge: 3_600_000 };
  app.use(
    session({ secret: "shared", resave: false, saveUninitialized: false, rolling: true, cookie, store }),
  );
  app.use(async (req, res) => {
    const signOut = () =>
      new Promise((resolve, reject) => {
        req.session.destroy((error) => (error ? reject(error) : resolve()));
      });
    const { cookie: _cookie, ...loaded } = await act(req.url, { session: req.session, signOut });
    res.json(loaded);
  });
  return { store, listener: app };
});
