// An Express application with `unset: "destroy"` whose session cannot be loaded in one request, which answers a while
// later. Prints as JSON what the requests were answered, and whether Node followed each promise of this process: before
// that request, in it, and when it was over. Run it with --expose-gc. Arguments: server URL, bucket.
import { executionAsyncResource } from "node:async_hooks";
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";
import express from "express";
import session from "express-session";

const [servers, bucket] = process.argv.slice(2);
const report = { answers: [], followed: {} };
const connections = await Promise.all([connect({ servers }), connect({ servers })]);
let isDown = false;
const connected = async () => {
  if (isDown) throw new Error("no connection in this program");
  return connections[0];
};
const store = await NatsStore.open(connected, { bucket, timeout: 20_000 });

/** Whether the code after an `await` is known to belong to a promise: Node tells only where something asks for it. */
async function isFollowed() {
  await undefined;
  return executionAsyncResource() instanceof Promise;
}

const app = express();
app.use(session({ secret: "secret", resave: false, saveUninitialized: false, unset: "destroy", store }));
app.get("/", (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1;
  res.send(String(req.session.views));
});
app.use(async (error, _req, res, _next) => {
  await sleep(1);
  report.followed.within = await isFollowed();
  // When the response ends, the session could be ended.
  isDown = false;
  res.status(503).send(error.code);
});
const server = createServer(app).listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}/`;

let cookie = "";
async function visit() {
  const response = await fetch(url, { headers: { connection: "close", cookie } });
  cookie ||= response.headers.getSetCookie()[0].split(";")[0];
  report.answers.push(await response.text());
}

await visit();
report.followed.before = await isFollowed();
isDown = true;
await connections.shift().close();
await visit();
for (let tries = 0; tries < 200 && (await isFollowed()); tries++) {
  globalThis.gc();
  await sleep(1);
}
report.followed.after = await isFollowed();
await visit();
server.close();
await store.close();
await connections[0].close();
console.log(JSON.stringify(report));
