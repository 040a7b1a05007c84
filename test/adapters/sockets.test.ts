import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { connect } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { io } from "socket.io-client";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { Browser } from "../examples/browser.js";
import { Scripts } from "../examples/script.js";
import { blocksIn, root } from "../package/documents.js";
import { until } from "../support/wait.js";

const tests = fileURLToPath(new URL("..", import.meta.url));

/** What the page takes for granted, with a sign-in and a rotation over HTTP. */
const given = `
import { createServer, ServerResponse } from "node:http";
import { connect } from "@nats-io/transport-node";
import { NatsStore, rotate } from "connect-nats";
import express from "express";
import session from "express-session";
import { Server } from "socket.io";
import { WebSocketServer } from "ws";
const nc = await connect({ servers: process.env.NATS_URL, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
const store = new NatsStore(nc, { timeout: 30_000 });
const app = express();
const server = createServer(app);
const sessionMiddleware = session({ store, secret: "x", resave: false, saveUninitialized: false });
app.use(sessionMiddleware);
app.post("/sign-in", (req, res) => {
  req.session.user = "ada";
  req.session.save((error) => res.status(error ? 500 : 200).send(req.sessionID));
});
app.post("/rotate", async (req, res) => {
  await rotate(req);
  res.send(req.sessionID);
});
`;
const listen =
  'server.listen(0, "127.0.0.1", () => console.log("http://127.0.0.1:" + server.address().port));';

let nats: NatsServer;
let recipes: Map<string, string>;
/** Another process. */
let elsewhere: SessionStore;

beforeAll(async () => {
  nats = await startNatsServer();
  const page = await readFile(`${root}/packages/core/docs/sockets.md`, "utf8");
  recipes = new Map(blocksIn(page, "js").map(({ heading, source }) => [heading, source]));
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  elsewhere = new SessionStore(nc, { timeout: 30_000 });
  return async () => {
    await elsewhere.close();
    await nc.close();
  };
});
afterAll(() => nats?.stop());

interface Opened {
  /** Whether the connection is up, and was accepted. */
  isOpen: boolean;
  /** How it ended. */
  ended?: string;
}

/** Opens a connection of one kind with the cookies of a browser. */
type Open = (browser: Browser) => Opened;

const socketIo =
  (transports: ("polling" | "websocket")[]): Open =>
  (browser) => {
    const opened: Opened = { isOpen: false };
    const socket = io(browser.baseUrl, {
      transports,
      extraHeaders: { cookie: browser.cookie },
      reconnection: false,
    });
    // The server accepts first, then looks at the session.
    socket.on("connect", () => {
      opened.isOpen = true;
    });
    socket.on("disconnect", (reason) => {
      opened.ended = reason;
    });
    onTestFinished(() => void socket.close());
    return opened;
  };

const ws: Open = (browser) => {
  const opened: Opened = { isOpen: false };
  const socket = new WebSocket(browser.baseUrl.replace("http", "ws"), {
    headers: { cookie: browser.cookie },
  });
  socket.on("open", () => {
    opened.isOpen = true;
  });
  socket.on("close", (code, reason) => {
    opened.ended ??= `${code} ${reason}`;
  });
  socket.on("error", ({ message }) => {
    opened.ended = message;
  });
  onTestFinished(() => socket.terminate());
  return opened;
};

const serverSentEvents: Open = (browser) => {
  const opened: Opened = { isOpen: false };
  void (async () => {
    const response = await browser.open("/events", { method: "GET" });
    opened.isOpen = response.ok;
    opened.ended = `${response.status} ${await response.text()}`;
  })();
  return opened;
};

const kinds: [
  name: string,
  heading: string,
  Open,
  ends: Record<"destroyed" | "rotated" | "refused", RegExp>,
][] = [
  ...(["polling", "websocket"] as const).map((transport): (typeof kinds)[number] => [
    `Socket.IO over ${transport}`,
    "Socket.IO 4",
    socketIo([transport]),
    { destroyed: /disconnect|close/, rotated: /disconnect|close/, refused: /disconnect|close/ },
  ]),
  ["ws", "ws", ws, { destroyed: /^4401 destroyed$/, rotated: /^4401 rotated$/, refused: /401/ }],
  [
    "server-sent events",
    "Server-sent events",
    serverSentEvents,
    { destroyed: /^200 event: ended\ndata: destroyed\n\n$/, rotated: /data: rotated/, refused: /^401/ },
  ],
];

describe.each(kinds)("the recipe for %s", (_name, heading, open, ends) => {
  const start = async () => {
    const scripts = new Scripts();
    onTestFinished(() => scripts[Symbol.asyncDispose]());
    const source = `${given}${recipes.get(heading)}${listen}`;
    const app = await scripts.start(["--input-type=module", "--eval", source], {
      cwd: tests,
      env: { NATS_URL: nats.url },
    });
    const browser = new Browser(app.url);
    return { app, browser, id: (await browser.post("/sign-in", {})).text };
  };
  const isUp = (opened: Opened) => until("the connection", () => opened.isOpen);
  const isDown = (opened: Opened) => until("the end of the connection", () => opened.ended !== undefined);

  it("takes less than 15 lines", () => {
    expect(recipes.get(heading)?.trim().split("\n").length).toBeLessThan(15);
  });

  it("closes the connections of a session that another process ends, and no others", async () => {
    const { app, browser, id } = await start();
    const other = new Browser(app.url);
    await other.post("/sign-in", {});
    const [one, two, stays] = [open(browser), open(browser), open(other)];
    for (const opened of [one, two, stays]) await isUp(opened);
    await elsewhere.destroy(id);
    for (const opened of [one, two]) {
      await isDown(opened);
      expect(opened.ended).toMatch(ends.destroyed);
    }
    expect(stays.ended).toBeUndefined();
  });

  it("closes the connections of a session that gets a new id, whose cookie then opens another", async () => {
    const { browser } = await start();
    const before = open(browser);
    await isUp(before);
    await browser.post("/rotate", {});
    await isDown(before);
    expect(before.ended).toMatch(ends.rotated);
    const after = open(browser);
    await isUp(after);
    expect(after.ended).toBeUndefined();
  });

  it("closes what ended while the server was away, and lets no one in without a session", async () => {
    const { app, browser, id } = await start();
    const opened = open(browser);
    await isUp(opened);
    await nats.kill();
    const ending = elsewhere.destroy(id);
    await nats.restart();
    await ending;
    await isDown(opened);
    expect(opened.ended).toMatch(ends.destroyed);
    for (const visitor of [browser, new Browser(app.url)]) {
      const refused = open(visitor);
      await isDown(refused);
      expect(refused.ended).toMatch(ends.refused);
    }
    expect(app.errors).toBe("");
  });
});
