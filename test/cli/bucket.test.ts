import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { expect, inject, it, onTestFinished } from "vitest";
import { newBucket } from "../support/variants.js";
import { jsonOf, run, startInTerminal } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

/** The streams of the current server. */
async function streams() {
  const nc = await connect({ servers: inject("currentServer") });
  onTestFinished(() => nc.close());
  return (await jetstreamManager(nc)).streams;
}

async function exists(bucket: string): Promise<boolean> {
  for await (const name of (await streams()).names()) if (name === `KV_${bucket}`) return true;
  return false;
}

it("init prints the settings of the new bucket and makes it", async () => {
  const bucket = newBucket();
  const args = ["init", "--bucket", bucket, "--max-ttl", "7d", "--max-bytes", "50MiB", "--compression", "s2"];
  const dry = await run([...args, "--dry-run"]);
  expect(dry.code).toBe(0);
  expect(dry.stdout).toMatch(/max_bytes +52\.4 MB/);
  expect(dry.stdout).toMatch(/max_age +15d/);
  expect(await exists(bucket)).toBe(false);
  const made = await run([...args, "--yes"]);
  expect(made).toEqual({ code: 0, stdout: `${dry.stdout}Made the bucket "${bucket}".\n`, stderr: "" });
  const { config } = await (await streams()).info(`KV_${bucket}`);
  expect(config).toMatchObject({
    max_bytes: 50 * 2 ** 20,
    compression: "s2",
    max_age: 15 * 86_400e9,
    storage: "file",
  });
  const again = await run([...args, "--yes"]);
  expect(again).toMatchObject({
    code: 0,
    stdout: `The bucket "${bucket}" is there already, as it is wanted.\n`,
  });
});

it("init asks on a terminal, and needs --yes without one", async () => {
  const bucket = newBucket();
  expect((await run(["init", "--bucket", bucket])).code).toBe(2);
  const program = startInTerminal(["init", "--bucket", bucket]);
  await program.printed(`Make the bucket "${bucket}"? [y/N]`);
  program.type("n\n");
  expect((await program.ended).code).toBe(1);
  expect(await exists(bucket)).toBe(false);
});

it("init leaves a bucket alone that differs, and says so", async () => {
  const { bucket } = await startApplication();
  const result = await run(["init", "--bucket", bucket, "--max-bytes", "1GB", "--yes"]);
  expect(result).toMatchObject({ code: 1, stdout: "" });
  expect(result.stderr).toContain("differs in 1 setting; see nats-sessions upgrade --dry-run");
  expect((await (await streams()).info(`KV_${bucket}`)).config.max_bytes).toBe(-1);
});

it("upgrade prints what it would change and why, changes it, and then has nothing to change", async () => {
  const bucket = newBucket();
  // A bucket as other tools make one.
  await (await streams()).add({
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    max_msgs_per_subject: 5,
    allow_direct: false,
    allow_rollup_hdrs: true,
  });
  const dry = await run(["upgrade", "--bucket", bucket, "--dry-run"]);
  expect(dry.code).toBe(0);
  expect(dry.stdout).toMatch(/max_msgs_per_subject +5 → 1 {2}\(sessions need history 1/);
  expect(dry.stdout).toMatch(/allow_direct +false → true/);
  expect(dry.stdout).toMatch(/republish +not set → \{/);
  const args = ["upgrade", "--bucket", bucket, "--format", "json"];
  const [done] = jsonOf((await run([...args, "--yes"])).stdout);
  expect(done).toMatchObject({ bucket, changed: true, dryRun: false });
  expect(done?.changes).toContainEqual({ field: "allow_direct", from: false, to: true });
  const [again] = jsonOf((await run([...args, "--yes"])).stdout);
  expect(again).toEqual({ bucket, changed: false, dryRun: false, changes: [] });
  const nc = await connect({ servers: inject("currentServer") });
  onTestFinished(() => nc.close());
  const store = await SessionStore.open(nc, { bucket, createBucket: false });
  await store.save("an id", {});
  await store.close();
});

it("upgrade gives a bucket no more replicas than its server can keep", async () => {
  const { bucket } = await startApplication();
  const { code, stderr } = await run(["upgrade", "--bucket", bucket, "--replicas", "3", "--yes"]);
  expect(stderr).toMatch(/num_replicas is 1, expected 3 \(asked for by `replicas`, which needs a cluster\)/);
  expect(code).toBe(1);
  expect((await (await streams()).info(`KV_${bucket}`)).config.num_replicas).toBe(1);
});

it("every command names doctor where the bucket does not fit", async () => {
  const bucket = newBucket();
  await (await streams()).add({
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    max_msgs_per_subject: 5,
  });
  for (const command of [["list"], ["stats"], ["end", "--all", "--yes"]]) {
    const { code, stderr } = await run([...command, "--bucket", bucket]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/does not fit: .*ERR_SESSION_BUCKET_MISMATCH\)\. See: nats-sessions doctor\n$/);
  }
});

it("upgrade does not touch a bucket that cannot be changed in place, or is missing", async () => {
  const bucket = newBucket();
  await (await streams()).add({
    name: `KV_${bucket}`,
    subjects: ["other.>"].map((text) => `${bucket}.${text}`),
  });
  const { code, stderr } = await run(["upgrade", "--bucket", bucket, "--yes"]);
  expect(code).toBe(1);
  expect(stderr).toContain("cannot be changed in place: subjects is ");
  const missing = await run(["upgrade", "--bucket", newBucket(), "--yes"]);
  expect(missing.stderr).toMatch(/There is no bucket ".*"; nats-sessions init makes it/);
});
