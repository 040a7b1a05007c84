import { rm } from "node:fs/promises";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";
import { connect as connectV2, nkeys } from "nats";
import { type NatsServer, startNatsCluster, startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenSubject, subjects } from "../../conformance/subjects.js";
import { conformance } from "../../conformance/suite.js";
import { Authority } from "../../support/certificates.js";
import { openPatient } from "../../support/patient.js";
import { configurationOfReadme, permissionsOfReadme } from "../../support/readme-account.js";
import type { Connection, Variant } from "../../support/variants.js";
import { until } from "../../support/wait.js";

const INBOX = "_INBOX_sessions";
const nkey = nkeys.createUser();
const seed = nkey.getSeed();

let open: NatsServer;
let secured: NatsServer;
let authority: Authority;
let publish: string[];
let subscribe: string[];

/** A user of the server, in its configuration's words. */
const user = (name: string, allowed?: { publish: string[]; subscribe: string[] }) =>
  `{ user: ${JSON.stringify(name)}, password: p${allowed ? `, permissions: ${JSON.stringify(allowed)}` : ""} }`;

beforeAll(async () => {
  ({ publish, subscribe } = await permissionsOfReadme());
  const readme = (await configurationOfReadme()).replace('"a password"', "p");
  const others = [
    user("admin"),
    `{ nkey: ${nkey.getPublicKey()}, permissions: $SESSIONS }`,
    ...publish.map((_, n) => user(`publish ${n}`, { publish: publish.toSpliced(n, 1), subscribe })),
    ...subscribe.map((_, n) => user(`subscribe ${n}`, { publish, subscribe: subscribe.toSpliced(n, 1) })),
  ];
  open = await startNatsServer({ config: readme.replace("users: [", `users: [\n${others.join("\n")}`) });
  authority = await Authority.create();
  const { certFile, keyFile } = await authority.issue("server");
  const tls = `tls { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${authority.caFile}", verify_and_map: true }`;
  const users = '{ user: "CN=admin" }, { user: "CN=app", permissions: $SESSIONS }';
  const mapped = readme.replace(/users: \[[^\]]*\]/, `users: [${users}]`);
  secured = await startNatsServer({ config: `${tls}\n${mapped}` });
  const admins = [
    await connect({ servers: open.url, user: "admin", pass: "p" }),
    await connect({ servers: secured.url, tls: await tlsOf("admin") }),
  ];
  for (const nc of admins) {
    await (await openPatient(nc)).close();
    await (await openPatient(nc, { bucket: "others" })).save("theirs", {});
    await nc.close();
  }
});
afterAll(async () => {
  await Promise.all([open?.stop(), secured?.stop(), rm(authority.folder, { recursive: true, force: true })]);
});

async function tlsOf(name: string) {
  return { ...(await authority.issue(name)), caFile: authority.caFile };
}

/** The ways in which the application of the README may sign in. */
const accounts: Record<string, () => Promise<Connection>> = {
  "a password": () => connect({ servers: open.url, user: "app", pass: "p", inboxPrefix: INBOX }),
  "a password, with nats 2.29": () =>
    connectV2({ servers: open.url, user: "app", pass: "p", inboxPrefix: INBOX }),
  "an nkey": () => connect({ servers: open.url, authenticator: nkeyAuthenticator(seed), inboxPrefix: INBOX }),
  "a certificate": async () => connect({ servers: secured.url, tls: await tlsOf("app"), inboxPrefix: INBOX }),
};

describe.each(Object.entries(accounts))("the account of the README, signed in with %s,", (name, signIn) => {
  const variant: Variant = { name, ttls: true, url: "", connect: signIn };

  beforeAll(async () => {
    const nc = await signIn();
    const store = await openPatient(nc);
    await store.clear();
    await store.close();
    await nc.close();
  });
  conformance(variant, subjects.core as OpenSubject, "sessions");

  it("can list sessions, end them by user and follow changes", async () => {
    const nc = await signIn();
    const store = await openPatient(nc, {
      prefix: "users",
      cache: true,
      user: ({ user }: { user?: string }) => user,
    });
    const changes = store.changes();
    await changes.ready;
    await store.save("one", { user: "ada" });
    expect((await changes.next()).value).toMatchObject({ type: "created" });
    expect(await store.count()).toBeGreaterThan(0);
    expect(await store.count({ exact: true })).toBe(1);
    expect(await store.destroyByUser("ada")).toBe(1);
    await store.clear();
    await store.close();
    await nc.close();
  });

  it("can publish and subscribe to nothing else", async () => {
    const nc = await signIn();
    const refused = new Set<string>();
    void (async () => {
      for await (const event of nc.status()) {
        // As the newer client tells it, and the older.
        const { error, permissionContext } = event as { error?: unknown; permissionContext?: unknown };
        const { operation, subject } = (error ?? permissionContext ?? {}) as Record<string, unknown>;
        refused.add(`${operation} ${subject}`);
      }
    })();
    const subscriptions = [
      ">",
      "$KV.>",
      "$KV.sessions.>",
      "$JS.>",
      "_INBOX.>",
      "session-changes.others.>",
      "orders",
    ];
    for (const subject of subscriptions) nc.subscribe(subject, { callback: () => {} });
    const publications = [
      "orders",
      "$KV.others.s.x",
      "$JS.API.INFO",
      "$JS.API.STREAM.LIST",
      "$JS.API.STREAM.INFO.KV_others",
      "$JS.API.STREAM.CREATE.KV_sessions",
      "$JS.API.STREAM.UPDATE.KV_sessions",
      "$JS.API.STREAM.DELETE.KV_sessions",
      "$JS.API.STREAM.PURGE.KV_sessions",
      "$JS.API.STREAM.MSG.DELETE.KV_sessions",
      "$JS.API.STREAM.MSG.GET.KV_others",
      "$JS.API.DIRECT.GET.KV_others",
      "$JS.API.CONSUMER.CREATE.KV_sessions",
      "$SYS.REQ.SERVER.PING",
      "_INBOX.somebody",
      "session-changes.sessions.s.x",
    ];
    for (const subject of publications) nc.publish(subject, new Uint8Array(0));
    await nc.flush();
    const expected = [
      ...publications.map((subject) => `publish ${subject}`),
      ...subscriptions.map((subject) => `subscription ${subject}`),
    ];
    const allowed = () => expected.filter((what) => !refused.has(what));
    await until("all are refused", () => allowed().length === 0).catch(() => {});
    expect(allowed()).toEqual([]);
    await expect(openPatient(nc, { bucket: "others" })).rejects.toMatchObject({
      code: "ERR_SESSION_PERMISSION",
      message: expect.stringContaining("$JS.API.STREAM.INFO.KV_others"),
    });
    await nc.close();
  });
});

describe("the permissions of the README", () => {
  const all = async (nc: Connection) => {
    const store = await openPatient(nc);
    try {
      await store.load("one");
      await store.save("one", { n: 1 });
      for await (const _ of store.handles());
      await store.changes().ready;
    } finally {
      await store.close();
    }
  };
  const missing: [user: string, subject: RegExp][] = [
    ["publish 0", /"\$KV\.sessions\.s\.[\w-]{43}"/],
    ["publish 1", /"\$JS\.API\.DIRECT\.GET\.KV_sessions\.\$KV\.sessions\.s\.[\w-]{43}"/],
    ["publish 2", /"\$JS\.API\.DIRECT\.GET\.KV_sessions"/],
    ["publish 3", /"\$JS\.API\.STREAM\.INFO\.KV_sessions"/],
    ["subscribe 0", /"_INBOX_sessions\..*"/],
    ["subscribe 1", /"session-changes\.sessions\.>"/],
  ];
  it.each(missing)("are all needed: without %s the error names %s", async (name, subject) => {
    const nc = await connect({ servers: open.url, user: name, pass: "p", inboxPrefix: INBOX });
    await expect(all(nc)).rejects.toMatchObject({
      code: "ERR_SESSION_PERMISSION",
      message: expect.stringMatching(subject),
    });
    await nc.close();
  });

  it("include, for three replicas, that the leader is asked", { timeout: 180_000 }, async () => {
    const lacking = user("lacking", { publish: publish.toSpliced(4, 1), subscribe });
    const config = `authorization { users: [ ${user("admin")}, ${user("app", { publish, subscribe })}, ${lacking} ] }`;
    await using cluster = await startNatsCluster({ config, timeout: 90_000 });
    const open = async (name: string, options = {}) => {
      const nc = await connect({ servers: cluster.urls, user: name, pass: "p", inboxPrefix: INBOX });
      return { nc, store: await openPatient(nc, options) };
    };
    const admin = await open("admin", { replicas: 3 });
    const app = await open("app");
    expect(await app.store.load("nobody has this")).toBeNull();
    const other = await open("lacking");
    await expect(other.store.load("nobody has this")).rejects.toMatchObject({
      code: "ERR_SESSION_PERMISSION",
      message: expect.stringContaining('"$JS.API.STREAM.MSG.GET.KV_sessions"'),
    });
    for (const { nc, store } of [admin, app, other]) {
      await store.close();
      await nc.close();
    }
  });
});
