import { jetstreamManager } from "@nats-io/jetstream";
import { NatsStore } from "connect-nats";
import type session from "express-session";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { run } from "../../cli/support/program.js";
import { keyOf } from "../../support/keys.js";
import { PATIENCE } from "../../support/patient.js";
import { bucketsOf } from "../../support/shards.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";

const HOUR = 3_600_000;
const BROWSERS = 6;
const REQUESTS = 3;

let nc: Connection;
beforeAll(async () => {
  nc = await connectCurrent();
});
afterAll(() => nc.close());

interface Data extends session.SessionData {
  user?: string;
  visits?: number;
}

const cookie = { originalMaxAge: HOUR, path: "/", httpOnly: true } as unknown as session.Cookie;

/** One browser, which sends a request after the other, to any of the processes that run. */
class Browser {
  #visits = 0;

  constructor(
    readonly id: string,
    readonly user: string,
  ) {}

  async signIn(store: NatsStore): Promise<void> {
    await store.set(this.id, { cookie, user: this.user, visits: this.#visits } as unknown as Data);
  }

  async visit(store: NatsStore): Promise<void> {
    const data = (await store.get(this.id)) as Data | null;
    expect(data).toMatchObject({ user: this.user, visits: this.#visits });
    this.#visits++;
    await store.set(this.id, Object.assign(data as Data, { visits: this.#visits }));
  }
}

/** The application's buckets, of one size after the other. */
const SIZES = [1, 4, 7];

test("one bucket grows to four and those to seven while applications run, and nobody is signed out", async () => {
  const sets = SIZES.map((shards) => ({ bucket: newBucket(), shards }));
  const key = keyOf("k1");
  const common = {
    timeout: PATIENCE,
    touchAfter: 0,
    user: ({ user }: Data) => user,
    encryption: { keys: [key] },
  };
  const open = (set: { bucket: string; shards: number }, more: object = {}) => {
    const store = new NatsStore(nc, { ...common, ...set, ...more });
    onTestFinished(() => store.close());
    return store;
  };

  const browsers: Browser[] = [];
  const signOuts: string[] = [];
  let turn = 0;
  /** Requests of all browsers while these processes run; some sign in, and some sign out. */
  const serve = async (...processes: NatsStore[]) => {
    const any = () => processes[turn++ % processes.length] as NatsStore;
    const fresh = Array.from({ length: BROWSERS }, (_, n) => new Browser(`${turn} ${n}`, `user ${n % 3}`));
    await Promise.all(fresh.map((browser) => browser.signIn(any())));
    const leaving = new Browser(`${turn} leaves`, "user 0");
    await leaving.signIn(any());
    browsers.push(...fresh);
    for (let n = 0; n < REQUESTS; n++) await Promise.all(browsers.map((browser) => browser.visit(any())));
    await any().destroy(leaving.id);
    signOuts.push(leaving.id);
    for (const id of signOuts) expect(await any().get(id)).toBeNull();
  };

  let old = open(sets[0] as (typeof sets)[number]);
  await serve(old);
  for (const [n, set] of sets.slice(1).entries()) {
    const last = sets[n] as (typeof sets)[number];
    const before = new SessionStore(nc, { ...common, ...last });
    onTestFinished(() => before.close());
    const moving = (phase: string) => open(set, { migrateFrom: { store: before, phase } });
    const [oldFirst, newFirst] = [moving("old-first"), moving("new-first")];
    await serve(old, oldFirst);
    await serve(oldFirst, newFirst);
    const copying = run([
      ...["migrate", "--from-bucket", last.bucket, "--from-shards", `${last.shards}`],
      ...["--bucket", set.bucket, "--shards", `${set.shards}`],
      ...["--encryption-key", `${key.id}=${Buffer.from(key.key as Uint8Array).toString("base64")}`],
    ]);
    await serve(newFirst);
    expect(await copying).toMatchObject({ code: 0 });
    const newOnly = moving("new-only");
    await serve(newFirst, newOnly);
    old = open(set);
    await serve(newOnly, old);
    const { streams } = await jetstreamManager(nc as never);
    for (const bucket of bucketsOf(last.bucket, last.shards)) await streams.delete(`KV_${bucket}`);
    await serve(old);
  }
  expect(await old.sessions.count({ exact: true })).toBe(browsers.length);
  const listed: string[] = [];
  for (const user of ["user 0", "user 1", "user 2"]) {
    for await (const { handle } of old.sessions.listByUser(user)) listed.push(handle);
  }
  expect(listed.sort()).toEqual(browsers.map(({ id }) => old.sessions.handleOf(id)).sort());
});
