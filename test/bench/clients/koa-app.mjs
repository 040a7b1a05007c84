import { once } from "node:events";
import Koa from "koa";
import session from "koa-session";
import { openStore } from "../stores.mjs";
import { sessionData } from "./sessions.mjs";

const DAY = 86_400_000;

/** The application of express-app.mjs for Koa. */
export async function open({ store: settings }) {
  const { store, close } = await openStore(settings);
  const app = new Koa();
  app.keys = ["of the benchmark only"];
  app.use(session({ store, maxAge: DAY, sameSite: "lax" }, app));
  app.use(async (ctx) => {
    if (ctx.path === "/sign-in") {
      const { cookie: _, ...data } = sessionData(1);
      Object.assign(ctx.session, data);
      ctx.body = "Welcome";
      return;
    }
    if (!ctx.session.user) ctx.throw(401, "Nobody is signed in");
    if (ctx.path === "/write") ctx.session.visits++;
    if (ctx.path === "/sign-out") ctx.session = null;
    ctx.body = ctx.path === "/sign-out" ? "Goodbye" : `Hello ${ctx.session.user.name}`;
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
