import { jetstreamManager } from "@nats-io/jetstream";
import { expect, it } from "vitest";
import { idsIn } from "../support/shards.js";
import { newBucket } from "../support/variants.js";
import { jsonOf, linesOf, type Program, run, start } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

it("every command works on a store of several buckets", async () => {
  const bucket = newBucket();
  const at = ["--bucket", bucket, "--shards", "3"];
  expect((await run(["list", ...at])).code).toBe(1);
  const dry = await run(["init", ...at, "--dry-run"]);
  expect(linesOf(dry.stdout)[0]).toBe(`The bucket "${bucket}" in 3 shards will have:`);
  const made = await run(["init", ...at, "--yes"]);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect((await run(["init", ...at, "--yes"])).stdout).toContain("is there already, as it is wanted");

  const { store, signIn } = await startApplication({ bucket, shards: 3 });
  const handles: string[] = [];
  for (let n = 0; n < 12; n++) handles.push(await signIn(`id ${n}`, { user: n % 2 === 0 ? "ada" : "bob" }));
  expect(linesOf((await run(["list", ...at, "--format", "ids"])).stdout).sort()).toEqual(handles.sort());
  const adas = linesOf((await run(["list", ...at, "--user", "ada", "--format", "ids"])).stdout);
  expect(adas).toHaveLength(6);
  expect((await run(["show", handles[0] as string, ...at])).stdout).toContain(handles[0]);
  const [stats] = jsonOf((await run(["stats", ...at, "--format", "json"])).stdout);
  expect(stats).toMatchObject({ live: 12, users: 2, tombstones: 0 });

  for (let n = 0; n < 2; n++) {
    const recording = start(["audit", "--record", ...at]);
    await recording.printed("Ctrl-C ends it");
    recording.child.kill("SIGINT");
    expect((await recording.ended).code).toBe(0);
  }
  expect((await run(["audit", ...at, "--format", "count"])).stdout).toBe("12\n");

  const doctor = await run(["doctor", ...at, "--format", "json"]);
  const findings = jsonOf<{ check: string; bucket: string; status: string }>(doctor.stdout);
  const feeds = findings.filter(({ check, status }) => check === "feed" && status !== "critical");
  expect(feeds.map((finding) => finding.bucket)).toEqual([`${bucket}_0`, `${bucket}_1`, `${bucket}_2`]);
  const { stdout: metrics } = await run(["doctor", ...at, "--format", "prometheus", "--read-only"]);
  expect(metrics).toContain(`nats_sessions_check_status{bucket="${bucket}_2",check="settings"} 0`);
  expect(metrics.match(/# TYPE nats_sessions_check_status/g)).toHaveLength(1);

  const changed = await run(["upgrade", ...at, "--max-bytes", "1GB", "--yes", "--format", "json"]);
  expect(jsonOf(changed.stdout).map((line) => [line.bucket, line.changed])).toEqual([
    [`${bucket}_0`, true],
    [`${bucket}_1`, true],
    [`${bucket}_2`, true],
  ]);
  expect((await run(["end", "--user", "ada", ...at, "--yes", "--format", "count"])).stdout).toBe("6\n");
  expect(await store.count({ exact: true })).toBe(6);
});

it("buckets with another number of shards are told by the commands that would make or change the one of that name", async () => {
  const { bucket } = await startApplication({ shards: 2 });
  const at = ["--bucket", bucket];
  for (const command of ["init", "upgrade"]) {
    const { code, stdout, stderr } = await run([command, ...at, "--yes"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(
      /There is a bucket "\S+_[01]", bucket [01] of `shards: 2`, but the store has `shards: 1`/,
    );
  }
  const { code, stdout } = await run(["doctor", ...at]);
  expect(code).toBe(2);
  expect(stdout).toMatch(/critical +bucket +There is a bucket "\S+_[01]", bucket [01] of `shards: 2`/);
});

it("doctor says which of several buckets is missing, and which number of them is there", async () => {
  const { bucket, nc } = await startApplication({ shards: 3 });
  await (await jetstreamManager(nc)).streams.delete(`KV_${bucket}_1`);
  const diagnose = async (...more: string[]) => {
    const { code, stdout } = await run(["doctor", "--bucket", bucket, ...more, "--format", "json"]);
    const findings = jsonOf<{ check: string; bucket: string; status: string; text: string }>(stdout);
    const critical = findings.filter(({ status }) => status === "critical");
    return { code, critical: critical.map((finding) => [finding.check, finding.bucket, finding.text]) };
  };
  expect(await diagnose("--shards", "3")).toEqual({
    code: 2,
    critical: [["bucket", `${bucket}_1`, `there is no bucket "${bucket}_1"; nats-sessions init makes it`]],
  });
  const number = expect.stringMatching(/shards: 3.*shards: 1/);
  expect(await diagnose()).toEqual({ code: 2, critical: [["bucket", bucket, number]] });
  const other = await diagnose("--shards", "2");
  expect(other.code).toBe(2);
  expect(other.critical[0]).toEqual([
    "settings",
    `${bucket}_0`,
    expect.stringMatching(/shards: 3.*shards: 2/),
  ]);
});

it("audit --record goes on where each of several buckets was recorded to, and records nothing twice", async () => {
  const { bucket, nc, store, signIn } = await startApplication({ shards: 3 });
  const at = ["--bucket", bucket, "--shards", "3"];
  const record = async (meanwhile: (recording: Program) => Promise<void>) => {
    const recording = start(["audit", "--record", ...at]);
    await recording.printed("Ctrl-C ends it");
    await meanwhile(recording);
    recording.child.kill("SIGINT");
    expect((await recording.ended).code).toBe(0);
  };
  await record(async (recording) => {
    for (let n = 0; n < 60; n++) await recording.printed(await signIn(`id ${n}`, { user: "ada" }));
  });
  let lookups = 0;
  nc.subscribe(`$JS.API.STREAM.MSG.GET.session-audit-${bucket}`, { callback: () => void lookups++ });
  await nc.flush();
  const later = [0, 1, 2].map((shard) => idsIn(store, shard, 3, 62).at(-1) as string);
  for (const id of later) await signIn(id, { user: "ada" });
  await store.destroy("id 0");
  await record(async () => {});
  await nc.flush();
  // The newest record, and the four sessions that were written since.
  expect(lookups).toBe(5);
  const { stdout } = await run(["audit", ...at, "--format", "json"]);
  const events = jsonOf(stdout).map(({ event, handle }) => [event, handle]);
  expect(events).toHaveLength(64);
  for (const id of later) expect(events).toContainEqual(["signed-in", store.handleOf(id)]);
  expect(events).toContainEqual(["signed-out", store.handleOf("id 0")]);
});

it("a wrong number of shards is refused before anything connects", async () => {
  for (const wrong of ["0", "65", "x"]) {
    const { code, stderr } = await run(["list", "--shards", wrong]);
    expect([code, stderr]).toEqual([
      2,
      "nats-sessions: Expected --shards to be a whole number from 1 to 64\n",
    ]);
  }
});
