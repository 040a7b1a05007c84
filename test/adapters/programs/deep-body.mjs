// An application that keeps in the session whatever JSON a visitor posts. Arguments: the kind of application, server
// URL, bucket. Sends its port; a visitor's request must never end this process.
import { connect } from "@nats-io/transport-node";
import { NatsStore as ExpressStore, rotate } from "connect-nats";
import express from "express";
import session from "express-session";
import Koa from "koa";
import koaSession from "koa-session";
import { NatsStore as KoaStore } from "koa-session-nats";

const [kind, servers, bucket] = process.argv.slice(2);
const nc = await connect({ servers });
const options = { bucket, timeout: 20_000 };

const server = (kind.startsWith("koa") ? koaApp() : expressApp()).listen(0, "127.0.0.1", () => {
  process.send({ port: server.address().port });
});
process.once("disconnect", async () => {
  server.closeAllConnections();
  server.close();
  await nc.close();
});

function expressApp() {
  const app = express();
  app.use(express.json());
  const store = new ExpressStore(nc, options);
  app.use(session({ store, secret: "a secret", resave: false, saveUninitialized: false }));
  app.get("/begin", (req, res) => {
    req.session.user = "ada";
    res.send("begun");
  });
  app.post("/keep", async (req, res) => {
    req.session.kept = req.body;
    if (kind === "express, rotate") await rotate(req);
    if (kind === "express, store.set") await store.set(req.sessionID, req.session);
    if (kind === "express, save()") {
      await new Promise((resolve, reject) => {
        req.session.save((error) => (error ? reject(error) : resolve()));
      });
    }
    res.send("kept");
  });
  app.get("/", (req, res) => res.send(`${req.session.user} ${JSON.stringify(req.session.kept)?.length}`));
  app.use((error, req, res, _next) => {
    process.send({ failed: error.code ?? error.name });
    delete req.session;
    // express-session does not answer any more where its own hash has overflowed while it ended the response.
    if (!res.headersSent) res.status(500).send(error.code ?? error.name);
  });
  return app;
}

function koaApp() {
  const app = new Koa();
  app.keys = ["a key"];
  app.use(async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      ctx.status = 500;
      ctx.body = error.code ?? error.name;
    }
  });
  app.use(koaSession({ store: new KoaStore(nc, options) }, app));
  app.use(async (ctx) => {
    if (ctx.path === "/begin") ctx.session.user = "ada";
    if (ctx.path === "/keep") {
      let text = "";
      for await (const part of ctx.req) text += part;
      ctx.session.kept = JSON.parse(text);
      if (kind === "koa, regenerate") await ctx.session.regenerate();
      if (kind === "koa, save()") await ctx.session.save();
    }
    ctx.body = `${ctx.session.user} ${JSON.stringify(ctx.session.kept)?.length}`;
  });
  return app;
}
