import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionAdmin } from "nats-session-store/admin";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { warm } from "../../support/cached.js";
import { confBlocksOf } from "../../support/conf-blocks.js";
import { openPatient, PATIENCE } from "../../support/patient.js";
import { permissionsIn } from "../../support/readme-account.js";
import { idsIn } from "../../support/shards.js";

const SHARDS = 2;

const [, , conf = ""] = await confBlocksOf("scaling.md");
const { publish, subscribe } = permissionsIn(conf);
/** Each permission but the one for answers, without which nothing is answered. */
const single = [...publish, ...subscribe].filter((subject) => !subject.startsWith("_INBOX"));

let server: NatsServer;

beforeAll(async () => {
  const lacking = single.map((missing, n) => {
    const [some, others] = [publish, subscribe].map((list) => list.filter((subject) => subject !== missing));
    const permissions = JSON.stringify({ publish: some, subscribe: others });
    return `{ user: "lacks ${n}", password: p, permissions: ${permissions} }`;
  });
  const users = ["{ user: admin, password: p }", ...lacking].join("\n");
  const config = conf.replace('"a password"', "p").replace("users: [", `users: [\n${users}`);
  server = await startNatsServer({ config });
  const nc = await connectAs("admin");
  await (await openPatient(nc, { shards: SHARDS })).close();
  await nc.close();
});
afterAll(() => server?.stop());

function connectAs(user: string): Promise<NatsConnection> {
  return connect({ servers: server.url, user, pass: "p", inboxPrefix: "_INBOX_sessions" });
}

/** As `connectAs`, until the end of the test. */
async function signIn(user: string): Promise<NatsConnection> {
  const nc = await connectAs(user);
  onTestFinished(() => nc.close());
  return nc;
}

it("the documentation's account of two buckets may do all that a store does", async () => {
  const nc = await signIn("app");
  const store = await openPatient<{ user: string }>(nc, {
    shards: SHARDS,
    createBucket: false,
    cache: true,
    user: (data) => data.user,
  });
  onTestFinished(() => store.close());
  const changes = store.changes();
  await changes.ready;
  const ids = [0, 1].map((shard) => idsIn(store, shard, SHARDS, 1)[0] as string);
  for (const id of ids) {
    const { record } = await store.save(id, { user: "ada" });
    expect((await changes.next()).value).toMatchObject({ type: "created", handle: record?.handle });
    await warm(store, id);
  }
  expect(await store.load("nobody's")).toBeNull();
  const handles: string[] = [];
  for await (const { handle } of store.listByUser("ada")) handles.push(handle);
  expect(handles.sort()).toEqual(ids.map((id) => store.handleOf(id)).sort());
  expect(await store.count({ exact: true })).toBe(2);
  expect(await store.check()).toMatchObject({ bucket: "sessions", feed: "live" });
  expect(await store.destroyByUser("ada")).toBe(2);
  await store.clear();
});

it.each(single.map((subject, n) => ({ subject, n })))(
  "of the permissions for two buckets that for $subject is needed",
  async ({ subject, n }) => {
    const nc = await signIn(`lacks ${n}`);
    const admin = new SessionAdmin(nc, { shards: SHARDS, timeout: PATIENCE });
    const trials = (await Promise.all([0, 1].map((shard) => admin.tryPermissions(shard)))).flat();
    await admin.close();
    expect(trials).toHaveLength(14);
    const refused = trials.filter(({ result }) => result !== "allowed").map((trial) => trial.subject);
    expect(refused.length).toBeGreaterThan(0);
    for (const one of refused) expect(one.startsWith(subject.replace(/>$/, ""))).toBe(true);
  },
);
