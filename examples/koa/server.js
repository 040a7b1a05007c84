// Sign-in with Koa and sessions in NATS.
import { bodyParser } from "@koa/bodyparser";
import { connect } from "@nats-io/transport-node";
import Koa from "koa";
import session from "koa-session";
import { NatsStore } from "koa-session-nats";

const { NATS_URL = "nats://127.0.0.1:4222", PORT = 3000, SESSION_SECRET } = process.env;
if (!SESSION_SECRET) throw new Error("Set SESSION_SECRET: it signs the cookies");

const nc = await connect({ servers: NATS_URL, maxReconnectAttempts: -1, pingInterval: 10_000 });
const store = new NatsStore(nc);

const app = new Koa({ keys: [SESSION_SECRET] });
app.use(async (ctx, next) => {
  try {
    await next();
  } catch (error) {
    if (!String(error.code).startsWith("ERR_SESSION_")) throw error;
    ctx.app.emit("error", error, ctx); // logs it
    ctx.set("Retry-After", "5");
    Object.assign(ctx, { status: 503, body: "Try again in a moment" });
  }
});
// Browsers send a lax cookie with no form of another site.
app.use(session({ store, maxAge: 86_400_000, rolling: true, sameSite: "lax" }, app));
app.use(bodyParser({ enableTypes: ["form"] }));
app.use((ctx) => ROUTES[`${ctx.method} ${ctx.path}`]?.(ctx));

const ROUTES = {
  "GET /healthz": async (ctx) => Object.assign(ctx, { body: await store.sessions.check({ timeout: 1000 }) }),
  "GET /": (ctx) => {
    const { user } = ctx.session;
    if (!user) return show(ctx, SIGN_IN);
    ctx.session.visits = (ctx.session.visits ?? 0) + 1;
    show(
      ctx,
      `<p>${user}, visit ${ctx.session.visits}</p>
<form method="post" action="/sign-out"><button>Sign out</button></form>`,
    );
  },
  "POST /sign-in": async (ctx) => {
    const { user, password } = ctx.request.body ?? {};
    if (!PASSWORDS.has(user) || PASSWORDS.get(user) !== password) return show(ctx, SIGN_IN, 401);
    ctx.session.user = user;
    await ctx.session.regenerate(); // a new id, so that one that leaked before becomes useless
    ctx.redirect("/");
  },
  "POST /sign-out": (ctx) => {
    ctx.session = null;
    ctx.redirect("/");
  },
};
const show = (ctx, body, status = 200) => Object.assign(ctx, { type: "html", status, body });
const PASSWORDS = new Map([["ada", "lovelace"]]); // your own user directory, with hashed passwords
const SIGN_IN = `<form method="post" action="/sign-in"><input name="user" placeholder="User">
<input name="password" type="password" placeholder="Password"><button>Sign in</button></form>`;

const server = app.listen(PORT, () => console.log(`http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => server.close(() => store.close().then(() => nc.close())));
