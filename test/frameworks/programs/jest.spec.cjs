// A CommonJS test run of Jest, as it is without any configuration. Environment: NATS_URL, BUCKET.
const { connect } = require("@nats-io/transport-node");
const { NatsStore, SessionStoreError } = require("connect-nats");
const express = require("express");
const session = require("express-session");
const Koa = require("koa");
const koaSession = require("koa-session").default;
const koa = require("koa-session-nats");
const { SessionStore } = require("nats-session-store");
const request = require("supertest");

let nc;
let sessions;

beforeAll(async () => {
  nc = await connect({ servers: process.env.NATS_URL });
  sessions = new SessionStore(nc, { bucket: process.env.BUCKET, timeout: 20_000 });
});

afterAll(async () => {
  await sessions.close();
  await nc.close();
});

test("Express counts visits, and a sign-out ends the session", async () => {
  const app = express();
  const store = new NatsStore(sessions);
  app.use(session({ store, secret: "tests", resave: false, saveUninitialized: false }));
  app.get("/", (req, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1;
    res.json(req.session.visits);
  });
  app.post("/sign-out", (req, res) => req.session.destroy(() => res.json(true)));
  const agent = request.agent(app);
  expect((await agent.get("/")).body).toBe(1);
  expect((await agent.get("/")).body).toBe(2);
  await agent.post("/sign-out");
  expect((await agent.get("/")).body).toBe(1);
});

test("Koa counts visits", async () => {
  const app = new Koa();
  app.keys = ["tests"];
  app.use(koaSession({ store: new koa.NatsStore(sessions) }, app));
  app.use((ctx) => {
    ctx.session.visits = (ctx.session.visits ?? 0) + 1;
    ctx.body = String(ctx.session.visits);
  });
  const agent = request.agent(app.callback());
  expect((await agent.get("/")).text).toBe("1");
  expect((await agent.get("/")).text).toBe("2");
});

test("an error is a SessionStoreError of one class", async () => {
  const closed = new SessionStore(nc, { bucket: process.env.BUCKET });
  await closed.close();
  await expect(closed.load("id")).rejects.toBeInstanceOf(SessionStoreError);
});
