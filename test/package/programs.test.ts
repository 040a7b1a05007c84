import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Browser } from "../examples/browser.js";
import { Scripts } from "../examples/script.js";
import { confBlocksOf } from "../support/conf-blocks.js";
import { HubAndLeaf } from "../support/hub-and-leaf.js";
import { configurationOfReadme } from "../support/readme-account.js";
import { runModule, runNode } from "../support/run-program.js";
import { pages, programsOn } from "./documents.js";

// Every program of a README or a page is run as it stands there.
const tests = fileURLToPath(new URL("..", import.meta.url));
const secrets = Object.fromEntries(
  ["SESSION_KEY", "SESSION_KEY_2027", "SESSION_USER_KEY"].map((name) => [
    name,
    randomBytes(32).toString("base64"),
  ]),
);
let server: NatsServer;
let sources: Map<string, string>;

beforeAll(async () => {
  server = await startNatsServer();
  const programs = (await pages()).flatMap(programsOn);
  sources = new Map(programs.map(({ name, source }) => [name, source]));
});

afterAll(() => server?.stop());

beforeEach(async () => {
  const nc = await connect({ servers: server.url });
  const { streams } = await jetstreamManager(nc);
  for await (const name of streams.names()) if (name.startsWith("KV_sessions")) await streams.delete(name);
  await nc.close();
});

/** The program with this name, for the server of this test. */
function programAt(name: string, url = server.url): string {
  const source = sources.get(name);
  if (source === undefined) throw new Error(`There is no program ${name}`);
  return source.replace("nats://127.0.0.1:4222", url);
}

/** What the parts of a program take for granted. */
const given = `
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
const nc = await connect({ servers: process.env.NATS_URL });
const id = "an id";
const other = new SessionStore(nc, { user: (data) => data.userId ?? data.user });
`;
const sessions = `${given} const sessions = other;`;
const handle = 'const handle = other.handleOf("another id");';
const assert = 'import assert from "node:assert/strict";';

/** A tracer provider of the real SDK, registered as the global one. */
const recorder = new URL("recorder.mjs", import.meta.url).href;

/** Parts of programs: what comes before and after them. */
const parts: Record<string, readonly [before: string, after: string]> = {
  "README.md: Who is signed in": [
    `${given} import { NatsStore } from "connect-nats";
    for (const name of ["another id", "a third", id]) await other.save(name, { user: "ada" });
    const req = { sessionID: id };
    ${handle}
    let close;
    const closed = new Promise((resolve) => { close = resolve; });
    const socket = { close };`,
    `await closed;
    assert.equal(await sessions.count({ exact: true }), 1);
    assert.ok(await sessions.load(id));`,
  ],
  "packages/core/README.md: nats-session-store": [
    assert,
    'assert.equal(outcome, "saved"); assert.equal(nc.isClosed(), false);',
  ],
  "packages/dev-server/README.md: nats-dev-server": ["", ""],
  "packages/core/docs/cache.md: Near cache": [
    given,
    `await sessions.save(id, { n: 1 });
    while (sessions.cacheStats().hits === 0) assert.deepEqual((await sessions.load(id)).data, { n: 1 });`,
  ],
  "packages/core/docs/cache.md: How old an answer may be": [
    `${given} await other.save(id, {});`,
    "assert.deepEqual({ hits, misses, drops }, { hits: 0, misses: 1, drops: 0 }); assert.ok(size <= 1 && bytes >= 0);",
  ],
  "packages/core/docs/changes.md: Changes": [
    `${sessions}
    const readAllAgain = () => assert.fail("nothing was missed");
    const lines = [];
    console.log = (...line) => {
      lines.push(line);
      if (line[0] === "destroyed") void sessions.close();
    };
    sessions.changes().ready.then(async () => {
      await sessions.save(id, { userId: "ada" });
      await sessions.destroy(id);
    });`,
    `assert.deepEqual(lines.map(([type]) => type), ["created", "destroyed"]);
    assert.deepEqual(lines[0].slice(1, 3), [sessions.handleOf(id), sessions.hashUser("ada")]);`,
  ],
  "packages/core/docs/encryption.md: Encryption": [
    given,
    `await sessions.save(id, { user: "ada" });
    assert.deepEqual((await sessions.load(id)).data, { user: "ada" });
    await assert.rejects(other.load(id), { code: "ERR_SESSION_KEY_UNKNOWN" });`,
  ],
  "packages/core/docs/encryption.md: Rotate a key": [
    `${given} const before = new SessionStore(nc, {
      encryption: { keys: [{ id: "2026-11", key: process.env.SESSION_KEY }] },
    });
    await before.save(id, { n: 1 });`,
    `const record = await sessions.load(id);
    await before.load(id);
    await sessions.save(id, { n: 2 }, { record });
    await assert.rejects(before.load(id), { code: "ERR_SESSION_KEY_UNKNOWN" });`,
  ],
  "packages/core/docs/encryption.md: Hide user names": [
    given,
    `await sessions.save(id, { userId: "ada" });
    assert.notEqual(sessions.hashUser("ada"), other.hashUser("ada"));
    assert.equal(await sessions.destroyByUser("ada"), 1);`,
  ],
  "packages/core/docs/migrating.md: Move in": [
    `${given} import { NatsStore } from "connect-nats"; import session from "express-session";
    const cookie = { originalMaxAge: 3_600_000, path: "/" };
    const oldStore = new session.MemoryStore();
    await new Promise((done) => oldStore.set(id, { user: "ada", cookie }, done));`,
    `assert.equal((await store.get(id)).user, "ada");
    assert.equal((await other.load(id)).data.user, "ada");`,
  ],
  "packages/core/docs/migrating.md: From one bucket to another": [
    `${given} import { NatsStore } from "connect-nats";
    await other.save(id, { user: "ada", cookie: { originalMaxAge: 3_600_000, path: "/" } });`,
    `assert.equal((await store.get(id)).user, "ada");
    assert.equal((await store.sessions.load(id)).createdAt, (await before.load(id)).createdAt);`,
  ],
  "packages/core/docs/migrating.md: From connect-redis": [
    `${given} import { NatsStore } from "connect-nats";`,
    `await store.set(id, { user: "ada", cookie: { path: "/" } });
    const { createdAt, expiresAt } = await store.sessions.load(id);
    assert.equal(expiresAt - createdAt, 43_200_000);
    assert.equal(await other.load(id), null);`,
  ],
  "packages/core/docs/scaling.md: Shards": [
    given,
    `await sessions.save(id, { user: "ada" });
    assert.equal((await sessions.load(id)).data.user, "ada");
    await assert.rejects(other.load(id), /shards: 8.*shards: 1/);`,
  ],
  "packages/core/docs/scaling.md: Shards 2": [
    `${given} import { NatsStore } from "connect-nats";
    await other.save(id, { user: "ada", cookie: { originalMaxAge: 3_600_000, path: "/" } });`,
    `assert.equal((await store.get(id)).user, "ada");
    assert.equal((await store.sessions.load(id)).createdAt, (await before.load(id)).createdAt);`,
  ],
  "packages/core/docs/options.md: Options": [
    given,
    `await sessions.save(id, { visits: 1 });
    const records = [await sessions.load(id), await sessions.load(id)];
    for (const record of records) await sessions.save(id, { visits: 2 }, { record });
    assert.equal((await sessions.load(id)).data.visits, 3);
    const { createdAt, expiresAt } = await sessions.load(id);
    assert.ok(Math.abs(expiresAt - createdAt - 1_800_000) < 60_000);`,
  ],
  "packages/core/docs/telemetry.md: Health": [
    `${sessions} import express from "express"; import { once } from "node:events"; const app = express();`,
    `const server = app.listen(0);
    await once(server, "listening");
    const answer = async () => (await fetch("http://127.0.0.1:" + server.address().port + "/healthz")).json();
    assert.equal((await answer()).bucket, "sessions");
    await nc.close();
    assert.deepEqual(await answer(), { code: "ERR_SESSION_UNAVAILABLE" });`,
  ],
  "packages/core/docs/telemetry.md: OpenTelemetry": [
    `${sessions} import { Recorder } from ${JSON.stringify(recorder)};
    const recorder = new Recorder();`,
    `await sessions.save(id, {});
    stop();
    await sessions.load(id);
    assert.deepEqual(recorder.names(), ["save sessions"]);`,
  ],
  "packages/core/docs/telemetry.md: Channels": [
    `${sessions} await sessions.ready(); const lines = []; console.log = (...line) => lines.push(line);`,
    `const { record } = await sessions.save(id, {});
    await sessions.destroy(id);
    await sessions.save(id, {}, { record });
    const handle = sessions.handleOf(id);
    assert.deepEqual(lines, [
      ["save", "sessions", handle, "saved", 1],
      ["destroy", "sessions", handle, "destroyed", 1],
      ["ended elsewhere:", handle],
      ["save", "sessions", handle, "gone", 2],
    ]);`,
  ],
  "packages/core/docs/testing.md: Testing": [assert, "assert.ok(nc.isClosed());"],
  "packages/core/docs/testing.md: Move the time": [
    `${sessions} const lines = []; console.log = (line) => lines.push(line);`,
    "assert.deepEqual(lines, [null]); assert.ok(await sessions.load(id));",
  ],
  "packages/core/docs/users.md: Users and their devices": [
    `${given} const lines = []; console.log = (...line) => lines.push(line);`,
    'assert.equal(lines[0][0], sessions.handleOf(id)); assert.deepEqual(lines[0][3], { userId: "ada" });',
  ],
  "packages/core/docs/users.md: End sessions": [
    `${sessions} ${handle}
    for (const name of ["another id", "a third", id]) await sessions.save(name, { userId: "ada" });`,
    "assert.ok(await sessions.load(id)); assert.equal(await sessions.count({ exact: true }), 1);",
  ],
  "packages/core/docs/users.md: Tell a page or a socket that its session has ended": [
    `${sessions} import { EventEmitter, once } from "node:events";
    const socket = new EventEmitter();
    socket.close = (...args) => socket.emit("closed", ...args);
    await sessions.save(id, {});`,
    `const closed = once(socket, "closed");
    await sessions.destroy(id);
    assert.deepEqual(await closed, [4401, "destroyed"]);`,
  ],
  "packages/core/docs/users.md: Limit the sessions of a user": [
    given,
    `for (let n = 0; n < 5; n++) await sessions.save(String(n), { userId: "ada" });
    await assert.rejects(sessions.save("one more", { userId: "ada" }), { code: "ERR_SESSION_LIMIT" });
    await sessions.save("one more", { userId: "grace" });`,
  ],
  "packages/core/docs/users.md: Give a session a new id": [
    `${sessions} const newId = "another id"; await sessions.save(id, { cart: 1 });`,
    `assert.equal(await sessions.load(id), null);
    assert.deepEqual((await sessions.load(newId)).data, { cart: 1, userId: "ada" });`,
  ],
};

test.each(Object.entries(parts))("%s runs", async (name, [before, after]) => {
  const source = `${before}\n${programAt(name)}\n${after}\nprocess.exit();`;
  expect(await runModule(source, [], { NATS_URL: server.url, ...secrets })).not.toContain("Error");
});

test("packages/express/README.md: connect-nats 2 runs, in CommonJS", async () => {
  const source = `${programAt("packages/express/README.md: connect-nats 2")}
    store.ready().then(() => store.close()).then(() => process.exit(), (error) => { throw error; });`;
  const { code, stderr } = await runNode(["--input-type=commonjs", "--eval", source]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

test("packages/core/docs/operating.md: Give the application an account runs, with the account above it", async () => {
  const admin = '{ user: "admin", password: "admin" },';
  const config = (await configurationOfReadme()).replace("users: [", `users: [ ${admin}`);
  await using secured = await startNatsServer({ config });
  const source = `${assert} import { connect } from "@nats-io/transport-node"; import { SessionStore } from "nats-session-store";
    const admin = await connect({ servers: process.env.NATS_URL, user: "admin", pass: "admin" });
    await SessionStore.open(admin);
    ${programAt("packages/core/docs/operating.md: Give the application an account", secured.url)}
    const sessions = new SessionStore(nc, { cache: true });
    await sessions.save("an id", {});
    await sessions.changes().ready;
    for await (const handle of sessions.handles()) assert.equal(handle, sessions.handleOf("an id"));
    process.exit();`;
  await runModule(source, [], { NATS_URL: secured.url });
});

test("packages/core/docs/scaling.md: JetStream domains runs on a leaf node", async () => {
  const servers = await HubAndLeaf.start();
  try {
    const source = `${given} ${programAt("packages/core/docs/scaling.md: JetStream domains")}
      await Promise.all([here.save(id, { at: "leaf" }), there.save(id, { at: "hub" })]);
      assert.deepEqual((await here.load(id)).data, { at: "leaf" });
      assert.deepEqual((await there.load(id)).data, { at: "hub" });
      process.exit();`;
    await runModule(source, [], { NATS_URL: servers.leaf.url });
  } finally {
    await servers.stop();
  }
});

test("packages/core/docs/scaling.md: Another account's JetStream runs, with the accounts below it", async () => {
  const [, config = ""] = await confBlocksOf("scaling.md");
  await using accounts = await startNatsServer({ config });
  const source = `${assert} import { connect } from "@nats-io/transport-node"; import { SessionStore } from "nats-session-store";
    const login = (user) => ({ servers: process.env.NATS_URL, user, pass: "a password", inboxPrefix: "_INBOX_sessions" });
    const owner = await SessionStore.open(await connect(login("storage")));
    const nc = await connect(login("app"));
    ${programAt("packages/core/docs/scaling.md: Another account's JetStream")}
    await sessions.save("an id", { n: 1 });
    assert.deepEqual((await owner.load("an id")).data, { n: 1 });
    process.exit();`;
  await runModule(source, [], { NATS_URL: accounts.url });
});

// Programs that serve: what the page leaves to the application is added.
const listen =
  'const server = app.listen(0, () => console.log("http://127.0.0.1:" + server.address().port));';
const express = "packages/express/README.md";
const koa = "packages/koa/README.md";

/** The program on a port of its own. */
const listening = (source: string): string => source.replace("app.listen(3000);", listen);

function serve(scripts: Scripts, source: string) {
  return scripts.start(["--input-type=module", "--eval", source], { cwd: tests });
}

test("README.md: Use runs", async () => {
  await using scripts = new Scripts();
  const source = listening(programAt("README.md: Use"));
  const browser = new Browser((await serve(scripts, source)).url);
  expect((await browser.get("/")).text).toBe("1 visits");
  expect((await browser.get("/")).text).toBe("2 visits");
});

test("the error handler of README.md is that of connect-nats and of the examples", () => {
  expect(programAt("README.md: Errors")).toBe(programAt(`${express}: Errors`));
});

test.each([
  ["Express", () => `${listening(programAt(`${express}: connect-nats`))} ${programAt(`${express}: Errors`)}`],
  [
    "Koa",
    () => {
      const source = programAt(`${koa}: koa-session-nats`);
      return listening(source.replace("app.use(", `${programAt(`${koa}: Errors`)}\napp.use(`));
    },
  ],
])("the program and the error handler of the README for %s run together", async (_framework, source) => {
  await using scripts = new Scripts();
  const app = await serve(scripts, source());
  const browser = new Browser(app.url);
  expect((await browser.get("/")).text).toBe("1 visits");
  await server.pause();
  const page = await browser.get("/").finally(() => server.resume());
  expect(page).toMatchObject({ status: 503, text: "Try again in a moment", cookies: [] });
  expect((await browser.get("/")).text).toBe("2 visits");
});

test.each([
  ["Express", `${express}: connect-nats`, `${express}: connect-nats 3`],
  ["Koa", `${koa}: koa-session-nats`, `${koa}: koa-session-nats 2`],
])(
  "the program of the README for %s ends by itself when it is told to stop, though no server answers",
  async (_framework, name, stop) => {
    await using scripts = new Scripts();
    const program = `${listening(programAt(name))} ${programAt(stop)}`;
    const [app, other] = [await serve(scripts, program), await serve(scripts, program)];
    for (const { url } of [app, other]) expect((await new Browser(url).get("/")).text).toBe("1 visits");
    expect(await app.stop()).toBe(0);
    await server.pause();
    const code = await other.stop().finally(() => server.resume());
    expect(code).toBe(0);
  },
);

test(`${express}: Sign-in runs`, async () => {
  await using scripts = new Scripts();
  const source = `${listening(programAt(`${express}: connect-nats`))}
    const checkPassword = async ({ user }) => user;
    app.use(express.urlencoded({ extended: false }));
    app.get("/user", (req, res) => res.send(req.session.user ?? "nobody"));
    ${programAt(`${express}: Sign-in`)}`;
  const browser = new Browser((await serve(scripts, source)).url);
  expect((await browser.post("/sign-in", { user: "ada" })).status).toBe(302);
  const before = browser.copy();
  expect((await browser.post("/sign-in", { user: "grace" })).status).toBe(302);
  expect((await browser.get("/user")).text).toBe("grace");
  expect((await before.get("/user")).text).toBe("nobody");
});

test("no program of a page is left out here", () => {
  const run = [
    ...Object.keys(parts),
    `${express}: connect-nats 2`,
    `${express}: connect-nats 3`,
    "packages/core/docs/operating.md: Give the application an account",
    "packages/core/docs/scaling.md: JetStream domains",
    "packages/core/docs/scaling.md: Another account's JetStream",
    "README.md: Use",
    "README.md: Errors",
    `${express}: connect-nats`,
    `${express}: Errors`,
    `${express}: Sign-in`,
    `${koa}: koa-session-nats`,
    `${koa}: koa-session-nats 2`,
    `${koa}: Errors`,
    // By test/adapters/sockets.test.ts.
    ...["Socket.IO 4", "ws", "Server-sent events"].map((name) => `packages/core/docs/sockets.md: ${name}`),
  ];
  expect([...sources.keys()].sort()).toEqual(run.sort());
});
