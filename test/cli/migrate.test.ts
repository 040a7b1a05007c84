import { createServer } from "node:net";
import { NatsStore } from "connect-nats";
import session from "express-session";
import { NatsStore as KoaNatsStore } from "koa-session-nats";
import { handleOf } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type OldDatabase, startOldStore } from "../adapters/support/old-stores.js";
import { jsonOf, plain, run, start, startInTerminal } from "./support/program.js";
import { type Application, startApplication } from "./support/sessions.js";

const HOUR = 3_600_000;

/** Ids that could mean something to a key, a pattern, a line or a terminal. */
const ODD_IDS = [
  "*",
  "a b",
  "sess:sess:",
  "ünï",
  "'; DROP TABLE session; --",
  "\u001b[31m",
  "-dash",
  "x".repeat(3000),
];

const migrate = (app: Application, ...args: string[]) => [
  "migrate",
  "--bucket",
  app.bucket,
  "--format",
  "json",
  ...args,
];

const set = (store: session.Store, id: string, data: object) =>
  new Promise<void>((resolve, reject) => {
    store.set(id, data as session.SessionData, (error) => (error ? reject(error) : resolve()));
  });

/** A session as express-session stores it. */
function express(user: string, cookie: object = {}): object {
  const stored = new session.Cookie();
  stored.maxAge = HOUR;
  // By then the clock may have gone on.
  stored.originalMaxAge = HOUR;
  return { user, cart: [1], cookie: Object.assign(stored, cookie) };
}

describe.each(["connect-redis", "connect-pg-simple"])("from %s", (name) => {
  let database: OldDatabase | undefined;
  beforeAll(async () => {
    database = await startOldStore(name);
  });
  afterAll(() => database?.stop());

  it("migrate copies what is there once, with its remaining life, and leaves out what is no session", async ({
    skip,
  }) => {
    if (!database) return skip();
    const app = await startApplication();
    const [old, connection] = await database.open();
    const start = Date.now();
    for (const id of ODD_IDS) await set(old, id, express(`user of ${id}`));
    await set(old, "ends with the browser", express("ada", { expires: null, originalMaxAge: null }));
    await set(old, "ended here", express("ada"));
    await app.signIn("ended here");
    await app.store.destroy("ended here");
    const wrong = name === "connect-redis" ? await spoilRedis(old) : await spoilPostgres(old);

    const copy = migrate(app, "--from", database.url);
    const dry = await run([...copy, "--dry-run"]);
    const found = { copied: ODD_IDS.length + 1, alreadyThere: 1, ...wrong };
    expect(dry).toMatchObject({ code: 0, stderr: "" });
    expect(jsonOf(dry.stdout)).toEqual([{ ...found, dryRun: true }]);
    expect(await app.store.count({ exact: true })).toBe(0);

    const first = await run(copy);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(jsonOf(first.stdout)).toEqual([{ ...found, dryRun: false }]);
    expect(jsonOf((await run(copy)).stdout)).toEqual([
      { ...found, copied: 0, alreadyThere: found.copied + 1, dryRun: false },
    ]);

    const store = new NatsStore(app.store as never);
    for (const id of ODD_IDS) {
      expect(await store.get(id)).toMatchObject({
        user: `user of ${id}`,
        cart: [1],
        cookie: { originalMaxAge: HOUR },
      });
      const { expiresAt } = (await app.store.load(id)) as { expiresAt: number };
      expect(expiresAt).toBeGreaterThan(start + HOUR - 2000);
      expect(expiresAt).toBeLessThan(Date.now() + HOUR + 2000);
    }
    expect(await app.store.load("ended here")).toBeNull();
    await connection.close();
  });

  it("migrate asks for the database's client, and says when the database cannot be reached", async ({
    skip,
  }) => {
    if (!database) return skip();
    const app = await startApplication();
    const away = new URL(database.url);
    away.port = String(await unusedPort());
    away.username = "someone";
    away.password = "a secret";
    const { code, stderr } = await run(migrate(app, "--from", "env:OLD"), { env: { OLD: away.href } });
    expect(code).toBe(3);
    expect(stderr).toContain("cannot be read");
    expect(stderr).not.toMatch(/secret|someone/);
  });
});

/** Puts into Redis what is no session, and one that ends at once. @returns how much of it is what */
async function spoilRedis(store: session.Store & { client?: never }) {
  const client = (store as unknown as { client: RedisClient }).client;
  await client.set("sess:garbage", "{not json");
  await client.set("sess:list", "[1]");
  await client.set("sess:number", "7");
  await client.set("sess:deep", `{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`);
  await client.sendCommand(["HSET", "sess:hash", "a", "1"]);
  await client.set("other:key", "{}");
  await client.set("sess:past", JSON.stringify({ cookie: { expires: "2001-01-01T00:00:00Z" } }));
  return { expired: 1, unreadable: 5 };
}

interface RedisClient {
  set(key: string, value: string): Promise<unknown>;
  sendCommand(command: string[]): Promise<unknown>;
}

async function spoilPostgres(store: session.Store) {
  const { query } = store as unknown as {
    query(text: string, values: unknown[], done: (error: unknown) => void): void;
  };
  const insert = (sid: string, sess: string, expire: Date) =>
    new Promise<void>((resolve, reject) => {
      query.call(store, "INSERT INTO session VALUES ($1, $2::json, $3)", [sid, sess, expire], (error) =>
        error ? reject(error) : resolve(),
      );
    });
  const later = new Date(Date.now() + HOUR);
  await insert("list", "[1]", later);
  await insert("number", "7", later);
  await insert("deep", `{"a":${"[".repeat(3000)}${"]".repeat(3000)}}`, later);
  await insert("past", JSON.stringify(express("ada")), new Date(Date.now() - 1000));
  return { expired: 1, unreadable: 3 };
}

it("migrate copies sessions of koa-redis, whose keys are the ids", async ({ skip }) => {
  const database = await startOldStore("koa-redis");
  if (!database) return skip();
  const app = await startApplication();
  const [old, connection] = await database.open();
  const end = Date.now() + HOUR;
  await old.set("koa:one", { user: "ada", _expire: end, _maxAge: HOUR }, HOUR + 10_000);
  await old.set("koa:browser", { user: "ada", _session: true }, HOUR);
  const { stdout } = await run(migrate(app, "--from", database.url, "--no-prefix"));
  expect(jsonOf(stdout)).toEqual([{ copied: 2, alreadyThere: 0, expired: 0, unreadable: 0, dryRun: false }]);
  const store = new KoaNatsStore(app.store as never);
  expect(await store.get("koa:one")).toEqual({ user: "ada", _expire: end, _maxAge: HOUR });
  expect(await store.get("koa:browser")).toEqual({ user: "ada", _session: true });
  await connection.close();
  await database.stop();
});

it("migrate copies JSON lines from a pipe, whatever else stands between them", async () => {
  const app = await startApplication();
  const line = (value: object) => JSON.stringify(value);
  const lines = [
    line({ id: "one", session: express("ada"), expiresAt: new Date(Date.now() + HOUR) }),
    line({ sid: "two", sess: express("bob"), expire: Date.now() + HOUR }),
    `${line({ id: "three", session: { user: "eve" } })}\r`,
    "",
    "   ",
    line({ id: "past", session: express("ada"), expiresAt: Date.now() - 1 }),
    line({ id: "no session" }),
    line({ session: express("no id") }),
    line({ id: 7, session: express("a number") }),
    line({ id: "odd time", session: express("ada"), expiresAt: "tomorrow" }),
    line({ id: "list", session: [1] }),
    line({ id: "__proto__", session: { user: "ada", constructor: 1 } }),
    `{"id":"proto","session":{"user":"ada","__proto__":{"isAdmin":true}}}`,
    `{"id":"deep","session":{"a":${"[".repeat(5000)}${"]".repeat(5000)}}}`,
    `{"id":"huge","session":{"a":"${"x".repeat(2_000_000)}"}}`,
    `{"id":"longer than any session","session":{"a":"${"x".repeat(9_000_000)}"}}`,
    "not json",
    "\u0000\u0001",
    line({ id: "last", session: { user: "ada" } }),
  ];
  const { code, stdout, stderr } = await run(migrate(app, "--from", "-"), { input: lines.join("\n") });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(jsonOf(stdout)).toEqual([{ copied: 6, alreadyThere: 0, expired: 1, unreadable: 10, dryRun: false }]);
  for (const [id, user] of [
    ["one", "ada"],
    ["two", "bob"],
    ["three", "eve"],
    ["last", "ada"],
  ] as const) {
    expect((await app.store.load(id))?.data).toMatchObject({ user });
  }
  expect((await app.store.load("proto"))?.data).not.toHaveProperty("isAdmin");
});

it("migrate copies the sessions of two buckets into three, with handles, ages, ends and users", async () => {
  const old = await startApplication({ shards: 2 });
  const ids = Array.from({ length: 150 }, (_, n) => `id ${n}`);
  await Promise.all(ids.map((id) => old.signIn(id, { user: id.endsWith("7") ? "ada" : "bob" }, HOUR)));
  await old.store.destroy("id 0");
  const app = await startApplication({ shards: 3 });
  await app.signIn("id 1", { user: "here" });
  const copy = migrate(
    app,
    "--from",
    inject("currentServer"),
    "--from-bucket",
    old.bucket,
    "--from-shards",
    "2",
    "--shards",
    "3",
  );
  const { stdout, stderr } = await run(copy);
  expect(stderr).toBe("");
  expect(jsonOf(stdout)).toEqual([
    { copied: 148, alreadyThere: 1, expired: 0, unreadable: 0, dryRun: false },
  ]);
  const [before, after] = await Promise.all([old.store.load("id 2"), app.store.load("id 2")]);
  for (const field of ["handle", "createdAt", "expiresAt", "data"] as const) {
    expect(after?.[field]).toEqual(before?.[field]);
  }
  expect((await app.store.load("id 1"))?.data).toEqual({ user: "here" });
  const handles: string[] = [];
  for await (const { handle } of app.store.listByUser("ada")) handles.push(handle);
  expect(handles.sort()).toEqual(
    ids
      .filter((id) => id.endsWith("7"))
      .map(handleOf)
      .sort(),
  );
  expect(await app.store.destroyByUser("ada")).toBe(15);
});

it("migrate says on a terminal how far it is, and what it has done", async () => {
  const old = await startApplication();
  const ids = Array.from({ length: 1500 }, (_, n) => `id ${n}`);
  for (let n = 0; n < ids.length; n += 300) {
    await Promise.all(ids.slice(n, n + 300).map((id) => old.signIn(id)));
  }
  const app = await startApplication();
  const args = ["migrate", "--bucket", app.bucket, "--from-bucket", old.bucket];
  const { code, stdout } = await startInTerminal(args).ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/[\d,]+ copied, 0 already there/);
  expect(plain(stdout)).toBe(
    `Copied 1,500 sessions from the bucket "${old.bucket}" to the bucket "${app.bucket}".\n  already there  0\n  expired        0\n  unreadable     0\n`,
  );
});

it("Ctrl-C ends migrate, which goes on when it is run again", async () => {
  const app = await startApplication();
  const program = startInTerminal(["migrate", "--bucket", app.bucket, "--from", "-"]);
  await program.printed("Reading JSON lines; Ctrl-D ends them.");
  program.type(`${JSON.stringify({ id: "one", session: { user: "ada" } })}\n`);
  program.type("\u0003");
  expect((await program.ended).code).toBe(130);
  const lines = ["one", "two"].map((id) => JSON.stringify({ id, session: { user: "ada" } }));
  const again = await run(migrate(app, "--from", "-"), { input: lines.join("\n") });
  const [counts] = jsonOf<{ copied: number; alreadyThere: number }>(again.stdout);
  expect((counts?.copied ?? 0) + (counts?.alreadyThere ?? 0)).toBe(2);
});

it("migrate that meets a bucket that is missing copies nothing and says which one it is", async () => {
  const app = await startApplication();
  const from = await run(migrate(app, "--from-bucket", "none-of-this-name"));
  expect(from).toMatchObject({
    code: 1,
    stdout: "",
    stderr: 'nats-sessions: Cannot copy from the bucket "none-of-this-name": there is no such bucket\n',
  });
  const program = start(["migrate", "--bucket", "none-of-this-name", "--from", "-"], { input: "{}\n" });
  const { code, stderr } = await program.ended;
  expect(code).toBe(1);
  expect(stderr).toContain('no bucket "none-of-this-name"; nats-sessions init makes it');
});

it.each<[string[], RegExp]>([
  [[], /Expected --from redis/],
  [["--from", "mysql://host/db"], /Expected --from to be a URL of redis/],
  [["--from", "redis://host", "--table", "x"], /--table only where sessions come from postgres/],
  [["--from", "postgres://host/db", "--prefix", "x"], /--prefix only where sessions come from redis or nats/],
  [["--from", "env:NOT_SET"], /in the variable NOT_SET, which is not set/],
  [["--from-bucket", "sessions"], /Expected another bucket/],
  [["--from", "/no/such/file.jsonl"], /Expected \/no\/such\/file.jsonl to be a file that can be read/],
])("migrate %j is wrong use, said in one line", async (args, message) => {
  const app = args.includes("/no/such/file.jsonl") ? await startApplication() : undefined;
  const { code, stderr } = await run(["migrate", ...(app ? ["--bucket", app.bucket] : []), ...args]);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
