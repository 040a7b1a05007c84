import { type ConnectionOptions, connect } from "@nats-io/transport-node";
import { startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { describe, expect, it, onTestFinished } from "vitest";
import { HubAndLeaf } from "../support/hub-and-leaf.js";
import { PATIENCE } from "../support/patient.js";
import { bucketsOf } from "../support/shards.js";
import { jsonOf, linesOf, type Result, run, start } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

const SHARDS = 2;

/** A JetStream that a program reaches by its domain, or behind a prefix. */
interface Elsewhere {
  /** A connection for which it is the own one. */
  readonly own: ConnectionOptions;
  /** How the program reaches it. */
  readonly args: readonly string[];
  /** How messages name it. */
  readonly where: string;
}

/** Two accounts, one of which imports the JetStream of the other, with all that `nats-sessions` uses. */
const ACCOUNTS = `
accounts {
  STORAGE {
    jetstream: enabled
    users: [ { user: storage, password: p } ]
    exports: [
      { service: "$KV.>" }
      { service: "$JS.API.>", response_type: stream }
      { service: "session-audit-logins.*.*" }
      { stream: "session-changes.>" }
    ]
  }
  APP {
    users: [ { user: app, password: p } ]
    imports: [
      { service: { account: STORAGE, subject: "$KV.>" }, to: "sessions.js.$KV.>" }
      { service: { account: STORAGE, subject: "$JS.API.>" }, to: "sessions.js.>" }
      { service: { account: STORAGE, subject: "session-audit-logins.*.*" } }
      { stream: { account: STORAGE, subject: "session-changes.>" } }
    ]
  }
}`;

const places: Record<string, () => Promise<Elsewhere>> = {
  "in the domain of a hub": async () => {
    const servers = await HubAndLeaf.start();
    onTestFinished(() => servers.stop());
    const args = ["--server", servers.leaf.url, "--domain", "hub"];
    return { own: { servers: servers.hub.url }, args, where: 'in the domain "hub"' };
  },
  "in another account's JetStream": async () => {
    const server = await startNatsServer({ timeout: 60_000, config: ACCOUNTS });
    onTestFinished(() => server.stop());
    const login = ["--nats-user", "app", "--password", "p"];
    const args = ["--server", server.url, ...login, "--api-prefix", "sessions.js"];
    const own = { servers: server.url, user: "storage", pass: "p" };
    return { own, args, where: 'behind the API prefix "sessions.js"' };
  },
};

describe.each(Object.entries(places))("on several buckets %s", (_name, begin) => {
  it("every command works", async () => {
    const { own, args, where } = await begin();
    const bucket = "logins";
    const at = [...args, "--bucket", bucket, "--shards", `${SHARDS}`];
    const done = async (result: Promise<Result>) => {
      const { code, stdout, stderr } = await result;
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return stdout;
    };
    const missing = await run(["list", ...at]);
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining(where)]);
    expect(await done(run(["init", ...at, "--yes"]))).toContain(where);
    const { store, signIn } = await startApplication({ bucket, shards: SHARDS }, own);

    const watching = start(["watch", ...at, "--format", "ids", "--limit", "6"]);
    const recording = start(["audit", "--record", ...at]);
    await watching.printed("Ctrl-C ends it");
    await recording.printed("Ctrl-C ends it");
    const handles: string[] = [];
    for (let n = 0; n < 6; n++) handles.push(await signIn(`id ${n}`, { user: n < 4 ? "ada" : "bob" }));
    handles.sort();
    expect(linesOf((await watching.ended).stdout).sort()).toEqual(handles);
    for (const handle of handles) await recording.printed(handle);
    recording.child.kill("SIGINT");
    expect((await recording.ended).code).toBe(0);
    const json = ["--format", "json"];
    const [trail, ids, adas, shown, ...stats] = await Promise.all(
      [
        ["audit", ...at, "--user", "ada", "--format", "count"],
        ["list", ...at, "--format", "ids"],
        ["list", ...at, "--user", "ada", "--format", "count"],
        ["show", handles[0] as string, ...at],
        ["stats", ...at, ...json],
        ["stats", ...at, ...json, "--exact"],
      ].map((command) => done(run(command))),
    );
    expect([trail, adas]).toEqual(["4\n", "4\n"]);
    expect(linesOf(ids as string).sort()).toEqual(handles);
    expect(shown).toContain(handles[0]);
    for (const text of stats) expect(jsonOf(text)).toMatchObject([{ live: 6, users: 2 }]);
    const { stdout } = await run(["doctor", ...at, ...json]);
    const findings = jsonOf<{ check: string; bucket: string; status: string }>(stdout);
    const bad = findings.filter(({ check, status }) => check !== "server" && status !== "ok");
    expect(bad).toEqual([]);
    const feeds = findings.filter(({ check }) => check === "feed");
    expect(feeds.map((finding) => finding.bucket)).toEqual(bucketsOf(bucket, SHARDS));
    const upgraded = jsonOf(await done(run(["upgrade", ...at, "--max-bytes", "1GB", "--yes", ...json])));
    expect(upgraded.map(({ changed }) => changed)).toEqual([true, true]);

    const copy = [...args, "--bucket", "copied"];
    await done(run(["init", ...copy, "--yes"]));
    const from = ["--from-bucket", bucket, "--from-shards", `${SHARDS}`];
    expect(await done(run(["migrate", ...copy, ...from]))).toContain(
      `Copied 6 sessions from the bucket "${bucket}" in 2 shards ${where}`,
    );
    expect(await done(run(["end", ...copy, "--all", "--yes", "--format", "count"]))).toBe("6\n");
    expect(await done(run(["end", store.handleOf("id 0"), ...at, "--yes"]))).toBe("Ended 1 session.\n");
    expect(await done(run(["end", "--user", "bob", ...at, "--yes"]))).toBe("Ended 2 sessions.\n");
    expect(await store.count({ exact: true })).toBe(3);
  });
});

it("migrate copies from a leaf's bucket to the hub's of the same name, and back, by their domains", async () => {
  const servers = await HubAndLeaf.start();
  onTestFinished(() => servers.stop());
  const open = async (url: string) => {
    const nc = await connect({ servers: url });
    const store = await SessionStore.open(nc, { timeout: PATIENCE });
    onTestFinished(async () => {
      await store.close();
      await nc.close();
    });
    return store;
  };
  const [leaf, hub] = [await open(servers.leaf.url), await open(servers.hub.url)];
  await leaf.save("of the leaf", { n: 1 });
  await hub.save("of the hub", { n: 2 });
  const migrate = (...args: string[]) =>
    run(["migrate", "--server", servers.leaf.url, ...args, "--format", "count"]);
  expect(await migrate("--domain", "hub", "--from-domain", "leaf")).toMatchObject({ code: 0, stdout: "1\n" });
  expect((await hub.load("of the leaf"))?.data).toEqual({ n: 1 });
  const back = await migrate("--domain", "leaf", "--from-api-prefix", "$JS.hub.API");
  expect(back).toMatchObject({ code: 0, stdout: "1\n" });
  expect((await leaf.load("of the hub"))?.data).toEqual({ n: 2 });
  const same = await migrate("--domain", "hub", "--from-domain", "hub");
  expect(same).toMatchObject({ code: 2, stderr: expect.stringContaining("Expected another bucket") });
  const both = await migrate("--from-domain", "hub", "--from-api-prefix", "a.b");
  expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("got both") });
});
