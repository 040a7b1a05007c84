import { jetstreamManager } from "@nats-io/jetstream";
import { startNatsCluster, startNatsServer } from "nats-dev-server";
import type { StreamReport } from "nats-session-store/admin";
import { expect, it, onTestFinished } from "vitest";
import { checkReplicas } from "../../packages/cli/src/doctor/bucket-checks.js";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { jsonOf, linesOf, run } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

interface Finding {
  check: string;
  status: string;
  text: string;
  metrics: { name: string; value: number; labels: Record<string, string> }[];
}

/** The binary that comes through npm may have a fault, which is a warning of its own. */
function worstBesideServer(findings: readonly Finding[]): string {
  const statuses = findings.filter(({ check }) => check !== "server").map(({ status }) => status);
  return ["critical", "warning"].find((status) => statuses.includes(status)) ?? "ok";
}

async function diagnose(args: readonly string[]) {
  const { code, stdout, stderr } = await run(["doctor", ...args, "--format", "json"]);
  expect(stderr).toBe("");
  const findings = jsonOf<Finding>(stdout);
  const of = (check: string) => findings.find((finding) => finding.check === check);
  return { code, findings, of };
}

it("doctor finds nothing wrong with a bucket that the store made", async () => {
  const { bucket, signIn } = await startApplication();
  await signIn("an id", { user: "ada" });
  const { code, findings, of } = await diagnose(["--bucket", bucket]);
  expect(worstBesideServer(findings)).toBe("ok");
  expect(code).toBe(of("server")?.status === "warning" ? 1 : 0);
  expect(findings.map(({ check }) => check)).toEqual([
    ...["server", "settings", "permissions", "bucket", "mirrors", "feed", "clock", "replicas"],
    ...["max_bytes", "tombstones", "max_payload", "account", "keys"],
  ]);
  expect(of("permissions")?.text).toBe("all 7 that a store needs");
  expect(of("feed")?.text).toMatch(/^reported a write after [\d.]+ ms$/);
});

it("doctor writes one entry however often it runs, which no store takes for a session, and none with --read-only", async () => {
  const { bucket, store, signIn } = await startApplication();
  await signIn("an id");
  const changes = store.changes();
  await changes.ready;
  const before = await store.count();
  const { of } = await diagnose(["--bucket", bucket, "--read-only"]);
  expect(of("feed")).toMatchObject({ status: "unknown", text: "not tried: --read-only" });
  expect(await store.count()).toBe(before);
  for (let n = 0; n < 3; n++) await diagnose(["--bucket", bucket]);
  expect(await store.count()).toBe(before + 1);
  expect(await store.count({ exact: true })).toBe(1);
  await signIn("next");
  expect((await changes.next()).value).toMatchObject({ type: "created", handle: store.handleOf("next") });
});

it("doctor ends with 2 where the bucket is missing or does not fit, and says what to do", async () => {
  const missing = await diagnose(["--bucket", newBucket()]);
  expect(missing.code).toBe(2);
  expect(missing.of("bucket")).toMatchObject({
    status: "critical",
    text: expect.stringContaining("nats-sessions init"),
  });

  const { bucket, nc } = await startApplication();
  const { streams } = await jetstreamManager(nc);
  await streams.update(`KV_${bucket}`, { allow_direct: false });
  const { code, of } = await diagnose(["--bucket", bucket]);
  expect(code).toBe(2);
  expect(of("settings")).toMatchObject({
    status: "critical",
    text: expect.stringMatching(
      /allow_direct is false instead of true .*nats-sessions upgrade changes 1 setting/,
    ),
  });
});

it("doctor ends with 1 where the bucket has no change feed", async () => {
  const { bucket } = await startApplication({ republish: false });
  const { code, of } = await diagnose(["--bucket", bucket]);
  expect(code).toBe(1);
  expect(of("settings")?.status).toBe("warning");
  expect(of("feed")).toMatchObject({ status: "warning", text: "there is no change feed" });
});

it("doctor tries each permission and names the subject of those that are missing", async () => {
  const bucket = newBucket();
  const server = await startNatsServer({
    timeout: 60_000,
    config: `authorization { users: [
      { user: admin, password: a }
      { user: app, password: b, permissions: {
        publish: ["$JS.API.STREAM.INFO.KV_${bucket}", "$JS.API.DIRECT.GET.KV_${bucket}.>", "$KV.${bucket}.s.>"]
        subscribe: ["_INBOX_app.>"]
      } }
    ] }`,
  });
  onTestFinished(() => server.stop());
  const login = (user: string, password: string) => [
    "--server",
    server.url,
    "--user",
    user,
    "--password",
    password,
  ];
  expect((await run(["init", "--bucket", bucket, "--yes", ...login("admin", "a")])).code).toBe(0);
  const { code, of } = await diagnose([
    "--bucket",
    bucket,
    ...login("app", "b"),
    "--inbox-prefix",
    "_INBOX_app",
  ]);
  expect(code).toBe(2);
  const { text = "" } = of("permissions") ?? {};
  const refused = text.split("; ").map((part) => part.split(" is ")[0]);
  expect(refused).toEqual([
    `publish $JS.API.DIRECT.GET.KV_${bucket}`,
    `publish $JS.API.STREAM.MSG.GET.KV_${bucket}`,
    expect.stringMatching(new RegExp(`^publish \\$KV\\.${bucket}\\.u\\.`)),
    `subscribe session-changes.${bucket}.>`,
  ]);
  expect(of("mirrors")).toMatchObject({ status: "unknown", text: expect.stringContaining("not checked") });
  expect(of("account")).toMatchObject({ status: "unknown" });
  const admin = await diagnose(["--bucket", bucket, ...login("admin", "a")]);
  expect(admin.of("permissions")?.status).toBe("ok");
});

it("doctor warns of a full bucket, a mirror that lags or fails, and sessions whose key was not given", async () => {
  const key = { id: "k1", key: Buffer.alloc(32, 1) };
  const { bucket, nc, signIn } = await startApplication({ maxBytes: 20_000, encryption: { keys: [key] } });
  await signIn("large", { text: "x".repeat(17_000) });
  const { streams } = await jetstreamManager(nc);
  await streams.add({ name: `copy-of-${bucket}`, mirror: { name: `KV_${bucket}` }, mirror_direct: true });
  const other = Buffer.alloc(32, 2).toString("base64");
  const { of } = await diagnose(["--bucket", bucket, "--encryption-key", `k2=${other}`]);
  expect(of("max_bytes")).toMatchObject({
    status: "warning",
    text: expect.stringMatching(/of 20\.0 kB \(8\d %\)/),
  });
  expect(of("mirrors")?.text).toMatch(
    new RegExp(`^copy-of-${bucket} is \\d+ entries behind, answers reads$`),
  );
  expect(of("keys")).toMatchObject({ status: "warning", text: "1 session with k1" });
});

it("doctor tells the leader and the copies of a bucket in a cluster, and warns when one is away", async () => {
  const cluster = await startNatsCluster({ timeout: 120_000 });
  onTestFinished(() => cluster.stop());
  const [first, second] = cluster.servers;
  if (!first || !second) throw new Error("There is no cluster");
  const bucket = newBucket();
  const common = ["--bucket", bucket, "--server", first.url];
  expect((await run(["init", ...common, "--replicas", "3", "--yes"])).code).toBe(0);
  await until(
    "all copies to be up to date",
    async () => (await diagnose(common)).of("replicas")?.status === "ok",
  );
  const { of } = await diagnose(common);
  expect(of("replicas")?.text).toMatch(/^the leader is n\d; 2 other copies are up to date$/);
  await second.kill();
  await until(
    "the copy to be missed",
    async () => (await diagnose(common)).of("replicas")?.status === "warning",
  );
});

it("doctor finds copies critical that a server without a cluster cannot keep", () => {
  const report = { cluster: undefined, isMirror: false } as StreamReport;
  expect(checkReplicas({ ...report, replicas: 1 }).status).toBe("ok");
  expect(checkReplicas({ ...report, replicas: 3 })).toMatchObject({
    status: "critical",
    text: expect.stringContaining("nats-sessions upgrade --replicas 1"),
  });
});

it("doctor's first line is the one that monitoring systems show", async () => {
  const { bucket } = await startApplication({ republish: false });
  const { stdout } = await run(["doctor", "--bucket", bucket]);
  expect(linesOf(stdout)[0]).toMatch(/^SESSIONS WARNING - (server, )?settings, feed$/);
  expect(stdout).toMatch(/\nwarning {3}feed +there is no change feed\n/);
});

it("doctor prints metrics for Prometheus", async () => {
  const { bucket, signIn } = await startApplication({ maxBytes: 1_000_000 });
  await signIn("an id");
  const { stdout } = await run(["doctor", "--bucket", bucket, "--format", "prometheus"]);
  expect(stdout).toContain("# TYPE nats_sessions_check_status gauge\n");
  expect(stdout).toContain(`nats_sessions_check_status{bucket="${bucket}",check="settings"} 0\n`);
  expect(stdout).toContain(`nats_sessions_max_bytes{bucket="${bucket}"} 1000000\n`);
  expect(stdout).toMatch(
    /nats_sessions_permission\{bucket="[^"]+",operation="subscribe",purpose="[^"]+"\} 1\n/,
  );
  for (const line of linesOf(stdout)) {
    expect(line).toMatch(
      /^(# (HELP|TYPE) nats_sessions_\w+ .+|nats_sessions_\w+\{(\w+="[^"\\]*",?)+\} -?[\d.e+-]+)$/,
    );
  }
});

it("doctor ends with 3 where there is no server", async () => {
  const { code, stdout } = await run(["doctor", "--server", "nats://127.0.0.1:1"]);
  expect([code, stdout]).toEqual([3, ""]);
});
