import Koa from "koa";
import session from "koa-session";
import { NatsStore } from "koa-session-nats";
import { act, serve } from "./serve.mjs";

await serve(async (nc, options) => {
  const store = await NatsStore.open(nc, options);
  const app = new Koa();
  app.keys = ["shared"];
  app.use(session({ store, maxAge: 3_600_000, rolling: true }, app));
  app.use(async (ctx) => {
    const signOut = async () => {
      ctx.session = null;
    };
    ctx.body = await act(ctx.url, { session: ctx.session, signOut });
  });
  return { store, listener: app.callback() };
});
