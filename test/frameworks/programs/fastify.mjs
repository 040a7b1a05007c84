// Fastify with @fastify/session. Environment: NATS_URL, BUCKET.
import fastifyCookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";
import Fastify from "fastify";
import { Gate } from "./gate.mjs";

const nc = await connect({ servers: process.env.NATS_URL });
const store = new NatsStore(nc, { bucket: process.env.BUCKET, timeout: 20_000 });
const gate = new Gate();
const app = Fastify({ forceCloseConnections: true });

app.setErrorHandler((error, _request, reply) => reply.code(503).send({ code: error.code }));
app.get("/waiting", async () => gate.waiting);
app.post("/release", async () => gate.release() ?? true);
app.post("/cut", async () => (await nc.close()) ?? true);
app.register(async (pages) => {
  pages.register(fastifyCookie);
  pages.register(fastifySession, {
    store,
    secret: "a secret of the tests that is long enough",
    cookie: { secure: false, maxAge: 3_600_000 },
    saveUninitialized: false,
  });
  pages.get("/", async ({ session }) => {
    const { user = null, cart, theme } = session;
    return { user, data: { ...(cart && { cart }), ...(theme && { theme }) } };
  });
  pages.post("/sign-in", async (request) => {
    await request.session.regenerate(["cart", "theme"]);
    request.session.user = "ada"; // regenerate has put another object there
    return true;
  });
  pages.post("/sign-out", async ({ session }) => (await session.destroy()) ?? true);
  pages.post("/set/:key", async ({ session, params }) => {
    session[params.key] = "set";
    return true;
  });
  pages.post("/slow/:key", async ({ session, params }) => {
    await gate.pass();
    session[params.key] = "set";
    return true;
  });
});

console.log(await app.listen({ host: "127.0.0.1", port: 0 }));
