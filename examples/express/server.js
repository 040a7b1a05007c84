// Sign-in with Express and sessions in NATS.
import { connect } from "@nats-io/transport-node";
import { NatsStore, rotate } from "connect-nats";
import express from "express";
import session from "express-session";

const { NATS_URL = "nats://127.0.0.1:4222", PORT = 3000, SESSION_SECRET } = process.env;
if (!SESSION_SECRET) throw new Error("Set SESSION_SECRET: it signs the cookies");

const nc = await connect({ servers: NATS_URL, maxReconnectAttempts: -1, pingInterval: 10_000 });
const store = new NatsStore(nc);

const app = express();
app.get("/healthz", async (_req, res) => res.json(await store.sessions.check({ timeout: 1000 })));
app.use(
  session({
    store,
    secret: SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    rolling: true,
    // Browsers send a lax cookie with no form of another site.
    cookie: { maxAge: 86_400_000, sameSite: "lax", secure: "auto" },
  }),
);

app.get("/", (req, res) => {
  if (!req.session.user) return res.send(SIGN_IN);
  req.session.visits = (req.session.visits ?? 0) + 1;
  res.send(`<p>${req.session.user}, visit ${req.session.visits}</p>
<form method="post" action="/sign-out"><button>Sign out</button></form>`);
});

app.post("/sign-in", express.urlencoded({ extended: false }), async (req, res) => {
  const { user, password } = req.body ?? {};
  if (!PASSWORDS.has(user) || PASSWORDS.get(user) !== password) return res.status(401).send(SIGN_IN);
  req.session.user = user;
  await rotate(req); // a new id, so that one that leaked before becomes useless
  res.redirect(303, "/");
});

app.post("/sign-out", (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.clearCookie("connect.sid").redirect(303, "/")));
});

app.use((error, req, res, next) => {
  if (!String(error.code).startsWith("ERR_SESSION_")) return next(error);
  console.error(error);
  if (res.headersSent) return; // the response is complete; only its session could not be saved
  delete req.session; // it could not be loaded: neither save it nor send a cookie
  res.status(503).set("Retry-After", "5").send("Try again in a moment");
});

const PASSWORDS = new Map([["ada", "lovelace"]]); // your own user directory, with hashed passwords
const SIGN_IN = `<form method="post" action="/sign-in"><input name="user" placeholder="User">
<input name="password" type="password" placeholder="Password"><button>Sign in</button></form>`;

const server = app.listen(PORT, () => console.log(`http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => server.close(() => store.close().then(() => nc.close())));
