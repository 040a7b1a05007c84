// Koa. Environment: NATS_URL, BUCKET.
import { connect } from "@nats-io/transport-node";
import Koa from "koa";
import session from "koa-session";
import { NatsStore } from "koa-session-nats";
import { Gate } from "./gate.mjs";

const nc = await connect({ servers: process.env.NATS_URL });
const store = new NatsStore(nc, { bucket: process.env.BUCKET, timeout: 20_000 });
const gate = new Gate();
const app = new Koa();
app.keys = ["a secret of the tests"];
app.silent = true;

app.use(async (ctx, next) => {
  try {
    await next();
  } catch (error) {
    if (!String(error.code).startsWith("ERR_SESSION_")) throw error;
    ctx.status = 503;
    ctx.body = { code: error.code };
  }
});
app.use(async (ctx, next) => {
  if (ctx.path === "/waiting") ctx.body = JSON.stringify(gate.waiting);
  else if (ctx.path === "/release") ctx.body = JSON.stringify(gate.release() ?? true);
  else if (ctx.path === "/cut") ctx.body = JSON.stringify((await nc.close()) ?? true);
  else await next();
});
app.use(session({ store, maxAge: 3_600_000 }, app));
app.use(async (ctx) => {
  const [, step, key] = ctx.path.split("/");
  ctx.body = "true";
  switch (step) {
    case "sign-in":
      ctx.session.user = "ada";
      await ctx.session.regenerate();
      return;
    case "sign-out":
      ctx.session = null;
      return;
    case "set":
      ctx.session[key] = "set";
      return;
    case "slow":
      await gate.pass();
      ctx.session[key] = "set";
      return;
    default: {
      const { user = null, ...data } = ctx.session.toJSON();
      ctx.body = { user, data };
    }
  }
});

const server = app.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
