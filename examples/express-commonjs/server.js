// Express in a CommonJS application: nothing here waits for NATS before it listens.
const { connect } = require("@nats-io/transport-node");
const { NatsStore } = require("connect-nats");
const express = require("express");
const session = require("express-session");

const { NATS_URL = "nats://127.0.0.1:4222", PORT = 3000, SESSION_SECRET } = process.env;
if (!SESSION_SECRET) throw new Error("Set SESSION_SECRET: it signs the cookies");

// Called again when connecting failed, so the application may start before NATS does.
const store = new NatsStore(() =>
  connect({ servers: NATS_URL, maxReconnectAttempts: -1, pingInterval: 10_000 }),
);

const app = express();
app.get("/healthz", async (_req, res) => res.json(await store.sessions.check({ timeout: 1000 })));
app.use(
  session({
    store,
    secret: SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    rolling: true,
    cookie: { maxAge: 86_400_000, sameSite: "lax", secure: "auto" },
  }),
);

app.get("/", (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1;
  res.send(`${req.session.visits} visits`);
});

app.use((error, req, res, next) => {
  if (!String(error.code).startsWith("ERR_SESSION_")) return next(error);
  console.error(error);
  if (res.headersSent) return; // the response is complete; only its session could not be saved
  delete req.session; // it could not be loaded: neither save it nor send a cookie
  res.status(503).set("Retry-After", "5").send("Try again in a moment");
});

const server = app.listen(PORT, () => console.log(`http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => server.close(() => store.close().then(() => process.exit())));
