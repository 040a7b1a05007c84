// A clean CommonJS project, with the older client and without top-level await. Arguments: server URL, bucket.
const assert = require("node:assert/strict");
const { NatsStore: ExpressStore } = require("connect-nats");
const expressSession = require("express-session");
const koaSession = require("koa-session").default;
const { NatsStore: KoaStore } = require("koa-session-nats");
const { connect } = require("nats");
const { SessionStoreError } = require("nats-session-store");

const [servers, bucket] = process.argv.slice(2);
const timeout = 20_000;
const nc = connect({ servers });

const express = new ExpressStore(nc, { bucket, prefix: "express", timeout });
assert.ok(express instanceof expressSession.Store);
assert.equal(
  typeof expressSession({ secret: "s", resave: false, saveUninitialized: false, store: express }),
  "function",
);

const koa = new KoaStore(nc, { bucket, prefix: "koa", timeout });
assert.equal(typeof koaSession({ store: koa }, { use() {}, context: {} }), "function");

async function koaRoundTrip() {
  await koa.set("id", { user: "ada" }, 60_000);
  assert.equal((await koa.get("id")).user, "ada");
  await koa.close();
  await assert.rejects(koa.get("id"), SessionStoreError);
}

express.set("id", { cookie: { originalMaxAge: 60_000 }, user: "ada" }, (error) => {
  assert.ifError(error);
  express.get("id", async (failure, session) => {
    assert.ifError(failure);
    assert.equal(session.user, "ada");
    await koaRoundTrip();
    await (await nc).close();
    console.log("done");
  });
});
