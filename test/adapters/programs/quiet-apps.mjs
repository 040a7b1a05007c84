// Express and Koa applications through good and bad times. The program itself prints nothing and calls no
// process.exit: whatever is printed, or keeps it alive, comes from the stores.
// Arguments: URL of a server that is up, URL of one that is down.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "@nats-io/transport-node";
import * as forExpress from "connect-nats";
import express from "express";
import expressSession from "express-session";
import Koa from "koa";
import koaSession from "koa-session";
import * as forKoa from "koa-session-nats";

const [up, down] = process.argv.slice(2);

function expressApp(store) {
  const app = express();
  app.use(expressSession({ secret: "secret", resave: false, saveUninitialized: false, store }));
  app.get("/", (req, res) => {
    req.session.views = (req.session.views ?? 0) + 1;
    res.send(String(req.session.views));
  });
  app.use((_error, _req, res, _next) => {
    if (!res.headersSent) res.status(500).send("error");
  });
  return app;
}

function koaApp(store) {
  const app = new Koa();
  app.keys = ["key"];
  app.silent = true;
  app.use(koaSession({ store }, app));
  app.use((ctx) => {
    ctx.session.views = (ctx.session.views ?? 0) + 1;
    ctx.body = String(ctx.session.views);
  });
  return app.callback();
}

/** Two requests of one visitor; the answers' texts. */
async function visitTwice(listener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/`;
  const first = await fetch(url, { headers: { connection: "close" } });
  const cookie = first.headers
    .getSetCookie()
    .map((line) => line.split(";")[0])
    .join("; ");
  const second = await fetch(url, { headers: { connection: "close", cookie } });
  const texts = [await first.text(), await second.text()];
  server.close();
  return texts;
}

function check(condition, what) {
  if (!condition) throw new Error(what);
}

for (const [{ NatsStore }, build, bucket] of [
  [forExpress, expressApp, "quiet-express"],
  [forKoa, koaApp, "quiet-koa"],
]) {
  const nc = await connect({ servers: up });
  const store = await NatsStore.open(nc, { bucket, timeout: 20_000 });
  const [, second] = await visitTwice(build(store));
  check(second === "2", "a session that counts");
  await store.close();
  const [, refused] = await visitTwice(build(store));
  check(/error/i.test(refused), "an error of a closed store");

  // A store that cannot be opened, and one that is opened but never used nor closed.
  const broken = new NatsStore(() => connect({ servers: down }), { bucket });
  await visitTwice(build(broken));
  new NatsStore(nc, { bucket, createBucket: false });
  new NatsStore(nc, { bucket: "no-such-bucket", createBucket: false });
  await nc.flush();
  await nc.close();
}
