// Socket.IO on Express, with the recipe of docs/sockets.md. Environment: NATS_URL, BUCKET.
import { createServer } from "node:http";
import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";
import express from "express";
import session from "express-session";
// biome-ignore lint/correctness/noUnusedImports: the recipe uses it
import { Server } from "socket.io";
import { io as connectSocket } from "socket.io-client";

const nc = await connect({ servers: process.env.NATS_URL });
const store = new NatsStore(nc, { bucket: process.env.BUCKET, timeout: 20_000 });
const sessionMiddleware = session({ store, secret: "tests", resave: false, saveUninitialized: false });

const app = express();
const server = createServer(app);
app.use(sessionMiddleware);
app.get("/sign-in", (req, res) => {
  req.session.user = "ada";
  res.send("hello");
});
app.get("/sign-out", (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.send("bye")));
});

RECIPE;

await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}`;
const [line] = (await fetch(`${url}/sign-in`)).headers.getSetCookie();
const cookie = line.split(";")[0];

const stranger = connectSocket(url, { transports: ["websocket"], reconnection: false });
const socket = connectSocket(url, {
  transports: ["websocket"],
  reconnection: false,
  extraHeaders: { cookie },
});
const ended = (one) => new Promise((resolve) => one.on("disconnect", resolve));
const ends = [ended(stranger), ended(socket)];
console.log("stranger:", await ends[0]);
console.log(
  "connected:",
  socket.connected || (await new Promise((resolve) => socket.on("connect", () => resolve(true)))),
);
await fetch(`${url}/sign-out`, { headers: { cookie } });
console.log("signed out:", await ends[1]);
process.exit();
