import { jetstreamManager } from "@nats-io/jetstream";
import { startNatsServer } from "nats-dev-server";
import { expect, inject, it, onTestFinished } from "vitest";
import { BadNetwork } from "../support/bad-network.js";
import { saveBriefly } from "../support/stores.js";
import { until } from "../support/wait.js";
import { jsonOf, linesOf, type Program, run, start } from "./support/program.js";
import { type Application, startApplication } from "./support/sessions.js";

interface Line {
  readonly at: string;
  readonly event: string;
  readonly user: string | null;
  readonly userHash: string;
  readonly handle: string;
  readonly movedTo: string | null;
  readonly revision: number;
}

const RECORDING = "Ctrl-C ends it";

async function startRecording({ bucket }: Application, ...more: string[]): Promise<Program> {
  const program = start(["audit", "--record", "--bucket", bucket, "--format", "json", ...more]);
  await program.printed(RECORDING);
  return program;
}

async function stopRecording(program: Program): Promise<void> {
  program.child.kill("SIGINT");
  expect((await program.ended).code).toBe(0);
}

async function read({ bucket }: Application, ...more: string[]): Promise<Line[]> {
  const { code, stdout, stderr } = await run(["audit", "--bucket", bucket, "--format", "json", ...more]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return jsonOf<Line>(stdout);
}

const briefly = ({ event, handle }: Line) => [event, handle];

it("audit --record writes who signed in and out when, and audit reads it back", async () => {
  const application = await startApplication();
  const { store, signIn, bucket } = application;
  const recording = await startRecording(application);
  const ada = await signIn("one", { user: "ada" });
  const bob = await signIn("two", { user: "bob" });
  await signIn("nobody's", {});
  const record = await store.load("one");
  await store.save("one", { user: "ada", n: 1 }, { record: record as never });
  await store.destroy("one");
  await store.destroy("nobody's");
  await recording.printed('"signed-out"');
  await stopRecording(recording);
  const lines = await read(application);
  expect(lines.map(briefly)).toEqual([
    ["signed-in", ada],
    ["signed-in", bob],
    ["signed-out", ada],
  ]);
  const userHash = store.hashUser("ada");
  expect(lines[0]).toEqual({
    at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/),
    event: "signed-in",
    user: null,
    userHash,
    handle: ada,
    movedTo: null,
    revision: expect.any(Number),
  });
  const theirs = await read(application, "--user", "ada");
  expect(theirs.map(briefly)).toEqual([
    ["signed-in", ada],
    ["signed-out", ada],
  ]);
  expect(theirs[0]?.user).toBe("ada");
  expect(await read(application, "--limit", "1")).toHaveLength(1);
  const { stdout } = await run(["audit", "--bucket", bucket, "--user", "bob"]);
  expect(linesOf(stdout)).toHaveLength(2);
  expect(stdout).toMatch(/^TIME +EVENT +USER +HANDLE/);
  expect((await run(["audit", "--bucket", bucket, "--format", "count"])).stdout).toBe("3\n");
});

it("a sign-in to a session that was anonymous is recorded once, a renewed id names the new one", async () => {
  const application = await startApplication();
  const { store, signIn } = application;
  const recording = await startRecording(application);
  const before = await signIn("one", { n: 1 });
  const anonymous = await store.load("one");
  const { record: named } = await store.save("one", { user: "ada" }, { record: anonymous as never });
  await store.rotate("one", "two", { user: "ada" }, { record: named as never });
  await recording.printed('"renewed"');
  await stopRecording(recording);
  const after = store.handleOf("two");
  const lines = await read(application);
  expect(lines.map(briefly)).toEqual([
    ["signed-in", before],
    ["signed-in", after],
    ["renewed", before],
  ]);
  expect(lines[2]?.movedTo).toBe(after);
});

it("an expiry is recorded with the user of the session", async () => {
  const application = await startApplication();
  const { store } = application;
  const recording = await startRecording(application);
  await saveBriefly(store, "one", { user: "ada" }, 1500);
  await recording.printed('"expired"');
  await stopRecording(recording);
  expect((await read(application, "--user", "ada")).map(briefly)).toEqual([
    ["signed-in", store.handleOf("one")],
    ["expired", store.handleOf("one")],
  ]);
});

it("what happened while no recorder ran is recorded by the next one, and nothing twice", async () => {
  const application = await startApplication();
  const { store, signIn } = application;
  const one = await signIn("one", { user: "ada" });
  await stopRecording(await startRecording(application));
  const two = await signIn("two", { user: "bob" });
  await store.destroy("one");
  const three = await signIn("three", { user: "cleo" });
  await store.destroy("three");
  for (let n = 0; n < 2; n++) await stopRecording(await startRecording(application));
  const lines = await read(application);
  expect(lines.map(briefly).sort()).toEqual(
    [
      ["signed-in", one],
      ["signed-in", two],
      ["signed-in", three],
      ["signed-out", one],
      ["signed-out", three],
    ].sort(),
  );
});

it("a session that began and ended while the recorder's connection was down is recorded with both", async () => {
  const application = await startApplication();
  const { store, signIn } = application;
  const network = await BadNetwork.start(Number(new URL(inject("currentServer")).port));
  onTestFinished(() => network.close());
  const recorder = await startRecording(application, "--server", network.url);
  network.cut();
  const handle = await signIn("an id", { user: "ada" });
  await store.destroy("an id");
  network.mend();
  await recorder.printed("signed-out");
  await stopRecording(recorder);
  expect((await read(application)).map(briefly)).toEqual([
    ["signed-in", handle],
    ["signed-out", handle],
  ]);
});

it("what happened in a bucket that was made again is recorded, although its numbers are lower", async () => {
  const application = await startApplication();
  const { bucket, nc, signIn } = application;
  const recording = await startRecording(application);
  for (let n = 0; n < 5; n++) await recording.printed(await signIn(`id ${n}`, { user: "ada" }));
  await stopRecording(recording);
  await (await jetstreamManager(nc)).streams.delete(`KV_${bucket}`);
  const again = await startApplication({ bucket });
  const handle = await again.signIn("later", { user: "bob" });
  await stopRecording(await startRecording(again));
  expect((await read(application)).map(briefly)).toContainEqual(["signed-in", handle]);
});

it("two recorders at a time record everything once", async () => {
  const application = await startApplication();
  const { store, signIn } = application;
  const both = [await startRecording(application), await startRecording(application)];
  const handles: string[] = [];
  for (let n = 0; n < 20; n++) handles.push(await signIn(`id ${n}`, { user: "ada" }));
  await store.destroyByUser("ada");
  const complete = ({ stdout }: Program) => stdout.slice(0, stdout.lastIndexOf("\n") + 1);
  const recorded = () => {
    const lines = both.flatMap((program) => jsonOf<Line>(complete(program)));
    return new Set(lines.map((line) => String(briefly(line))));
  };
  await until("both to record everything", () => recorded().size >= 40);
  await Promise.all(both.map(stopRecording));
  const events = (await read(application)).map(briefly);
  expect(events).toHaveLength(40);
  expect(new Set(events.map(String)).size).toBe(40);
});

it("--since leaves out what is older, also what was recorded later than it happened", async () => {
  const application = await startApplication();
  const { signIn } = application;
  await signIn("early", { user: "ada" });
  await stopRecording(await startRecording(application));
  expect(await read(application, "--since", "1h")).toHaveLength(1);
  expect(await read(application, "--since", "1ms")).toHaveLength(0);
});

it("the trail keeps its records for a year and lets no client remove them", async () => {
  const application = await startApplication();
  await stopRecording(await startRecording(application));
  const { config } = await (await jetstreamManager(application.nc)).streams.info(
    `session-audit-${application.bucket}`,
  );
  expect(config).toMatchObject({
    max_age: 365 * 86_400 * 1e9,
    deny_delete: true,
    deny_purge: true,
    num_replicas: 1,
  });
});

it("a prefix has a trail of its own, and --stream and --keep choose another", async () => {
  const application = await startApplication({ prefix: "shop.eu" });
  const { signIn, bucket, nc } = application;
  await signIn("one", { user: "ada" });
  await stopRecording(await startRecording(application, "--prefix", "shop.eu"));
  await stopRecording(
    await startRecording(application, "--prefix", "shop.eu", "--stream", `${bucket}-x`, "--keep", "30d"),
  );
  const { streams } = await jetstreamManager(nc);
  expect((await streams.info(`session-audit-${bucket}-shop_eu`)).state.messages).toBe(1);
  const { config, state } = await streams.info(`${bucket}-x`);
  expect([config.max_age, state.messages]).toEqual([30 * 86_400 * 1e9, 1]);
  expect(await read(application, "--stream", `${bucket}-x`)).toHaveLength(1);
});

it("audit ends with 1 where there is no trail, with 2 for wrong use, with 3 without a server", async () => {
  const { bucket } = await startApplication();
  const none = await run(["audit", "--bucket", bucket]);
  expect(none).toMatchObject({ code: 1, stdout: "" });
  expect(none.stderr).toBe(
    `nats-sessions: There is no audit trail "session-audit-${bucket}"; nats-sessions audit --record begins one\n`,
  );
  for (const wrong of [
    ["--record", "--user", "ada"],
    ["--keep", "7d"],
    ["--stream", "a.b"],
    ["--since", "x"],
    ["--record", "--replicas", "9"],
  ]) {
    const { code, stderr } = await run(["audit", ...wrong]);
    expect([code, linesOf(stderr).length]).toEqual([2, 1]);
  }
  const away = await run(["audit", "--server", "nats://127.0.0.1:1", "--timeout", "2s"]);
  expect(away.code).toBe(3);
  expect(linesOf(away.stderr)).toHaveLength(1);
});

it("a stream on the change feed itself is no trail: the server refuses what sessions from before it write", async () => {
  const { bucket, store, signIn, nc } = await startApplication();
  await signIn("one", { user: "ada" });
  const { streams } = await jetstreamManager(nc);
  const name = `plain-${bucket}`;
  await streams.add({ name, subjects: [`session-changes.${bucket}.>`], allow_msg_ttl: true });
  onTestFinished(async () => void (await streams.delete(name)));
  const changes = store.changes();
  await changes.ready;
  await store.destroy("one");
  expect((await changes.next()).value).toMatchObject({ type: "destroyed" });
  // It names the revision that it builds on, which the stream compares with its own numbers.
  const { state } = await streams.info(name, { subjects_filter: `session-changes.${bucket}.s.>` });
  expect(state.messages).toBe(0);
});

it("audit ends with 3 where no JetStream answers, and with 1 where the account may not use the trail", async () => {
  const users = '{ user: "audit", password: "pw", permissions: { publish: ["x"], subscribe: ["_INBOX.>"] } }';
  await using server = await startNatsServer({
    jetstream: false,
    config: `authorization { users: [ { user: "app", password: "pw" }, ${users} ] }`,
  });
  const audit = (user: string) =>
    run(["audit", "--server", server.url, "--nats-user", user, "--password", "pw"]);
  expect(await audit("app")).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/^nats-sessions: The audit trail cannot be reached: .*Tried: 127/),
  });
  expect(await audit("audit")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^nats-sessions: The account may not use the audit trail: .*STREAM\.INFO\.session-audit-sessions/,
    ),
  });
});
