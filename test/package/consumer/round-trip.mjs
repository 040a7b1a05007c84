// A clean ESM project that has installed the packed packages. Arguments: server URL, bucket.
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import * as forExpress from "connect-nats";
import expressSession from "express-session";
import koaSession from "koa-session";
import * as forKoa from "koa-session-nats";
import * as core from "nats-session-store";

const [servers, bucket] = process.argv.slice(2);
const timeout = 20_000;
const nc = await connect({ servers });

const store = await core.SessionStore.open(nc, { bucket, prefix: "core", timeout });
const { record } = await store.save("id", { user: "ada" });
assert.deepEqual((await store.load("id")).data, { user: "ada" });
assert.equal((await store.touch("id", record)).record.handle, core.handleOf("id"));
assert.equal(await store.destroy("id"), true);
assert.equal(await store.load("id"), null);

const express = await forExpress.NatsStore.open(nc, { bucket, prefix: "express", timeout });
assert.ok(express instanceof expressSession.Store);
assert.equal(
  typeof expressSession({ secret: "s", resave: false, saveUninitialized: false, store: express }),
  "function",
);
await express.set("id", { cookie: { originalMaxAge: 60_000 }, user: "ada" });
assert.equal((await express.get("id")).user, "ada");
assert.equal(await express.length(), 1);

const koa = await forKoa.NatsStore.open(nc, { bucket, prefix: "koa", timeout });
assert.equal(typeof koaSession({ store: koa }, { use() {}, context: {} }), "function");
await koa.set("id", { user: "ada" }, 60_000);
assert.equal((await koa.get("id")).user, "ada");

await store.close();
await assert.rejects(store.load("id"), core.SessionStoreError);
assert.equal(forExpress.SessionStoreError, core.SessionStoreError);
assert.equal(forKoa.SessionStoreError, core.SessionStoreError);
await nc.close();
console.log("done");
