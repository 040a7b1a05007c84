// Express with passport, connect-flash and csrf-sync. Environment: NATS_URL, BUCKET.
import { connect } from "@nats-io/transport-node";
import flash from "connect-flash";
import { NatsStore } from "connect-nats";
import { csrfSync } from "csrf-sync";
import express from "express";
import session from "express-session";
import passport from "passport";
import { Strategy } from "passport-local";
import { Gate } from "./gate.mjs";

const nc = await connect({ servers: process.env.NATS_URL });
const store = new NatsStore(nc, { bucket: process.env.BUCKET, timeout: 20_000 });
const gate = new Gate();
const { csrfSynchronisedProtection, generateToken } = csrfSync();

passport.use(new Strategy((name, password, done) => done(null, password === "right" && { name })));
passport.serializeUser(({ name }, done) => done(null, name));
passport.deserializeUser((name, done) => done(null, { name }));

const app = express();
app.get("/waiting", (_req, res) => res.json(gate.waiting));
app.post("/release", (_req, res) => {
  gate.release();
  res.json(true);
});
app.post("/cut", async (_req, res) => {
  await nc.close();
  res.json(true);
});

app.use(express.urlencoded({ extended: false }));
app.use(
  session({
    store,
    secret: "a secret of the tests",
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 3_600_000 },
  }),
);
app.use(passport.session());
app.use(flash());
app.use(csrfSynchronisedProtection);

app.get("/", (req, res) => {
  const { cart, theme } = req.session;
  const data = { ...(cart && { cart }), ...(theme && { theme }) };
  const message = req.flash("info")[0] ?? null;
  res.json({ user: req.user?.name ?? null, data, message, token: generateToken(req) });
});
app.post("/sign-in", passport.authenticate("local"), (req, res) => {
  req.flash("info", `Hello ${req.user.name}`);
  res.redirect("/");
});
app.post("/sign-out", (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.json(true)));
});
app.post("/set/:key", (req, res) => {
  req.session[req.params.key] = "set";
  res.json(true);
});
app.post("/slow/:key", async (req, res) => {
  await gate.pass();
  req.session[req.params.key] = "set";
  res.json(true);
});
app.use((error, req, res, next) => {
  if (!String(error.code).startsWith("ERR_SESSION_")) return next(error);
  if (res.headersSent) return;
  delete req.session;
  res.status(503).json({ code: error.code });
});

const server = app.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
