import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, nkeys } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { expect, inject, it, onTestFinished } from "vitest";
import { Authority } from "../support/certificates.js";
import { HubAndLeaf } from "../support/hub-and-leaf.js";
import { until } from "../support/wait.js";
import { operatorMode } from "./support/credentials.js";
import { jsonOf, run, start } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

/** What a program that reached a server with JetStream says of a bucket that is missing. */
const REACHED = "ERR_SESSION_BUCKET_MISSING";

async function serverWith(config: string): Promise<NatsServer> {
  const server = await startNatsServer({ timeout: 60_000, config });
  onTestFinished(() => server.stop());
  return server;
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "nats-sessions-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

it("a user and a password come from options, variables, or the URL, and are printed nowhere", async () => {
  const { url, port } = await serverWith("authorization { user: app, password: hunter-two }");
  const bare = await run(["list", "--server", url]);
  expect(bare).toMatchObject({ code: 3, stderr: expect.stringMatching(/Authorization Violation/i) });
  for (const result of await Promise.all([
    run(["list", "--server", url, "--nats-user", "app", "--password", "hunter-two"]),
    run(["stats", "--server", url, "--user", "app", "--password", "hunter-two"]),
    run(["list"], { env: { NATS_URL: url, NATS_USER: "app", NATS_PASSWORD: "hunter-two" } }),
    run(["list", "--server", `nats://app:hunter-two@127.0.0.1:${port}`]),
  ])) {
    expect(result.stderr).toContain(REACHED);
  }
  const wrong = await run(["list", "--server", `nats://app:hunter-three@127.0.0.1:${port}`]);
  expect(wrong.code).toBe(3);
  expect(wrong.stderr).not.toContain("hunter");
});

it("a token comes from an option, a variable, or the URL", async () => {
  const { url, port } = await serverWith("authorization { token: a-token }");
  for (const result of await Promise.all([
    run(["list", "--server", url, "--token", "a-token"]),
    run(["list"], { env: { NATS_URL: url, NATS_TOKEN: "a-token" } }),
    run(["list", "--server", `nats://a-token@127.0.0.1:${port}`]),
  ])) {
    expect(result.stderr).toContain(REACHED);
  }
});

it("--nkey signs in with the seed in a file", async () => {
  const pair = nkeys.createUser();
  const file = join(await temporary(), "user.nk");
  await writeFile(file, `${Buffer.from(pair.getSeed()).toString()}\n`);
  const { url } = await serverWith(`authorization { users: [{ nkey: ${pair.getPublicKey()} }] }`);
  expect((await run(["list", "--server", url, "--nkey", file])).stderr).toContain(REACHED);
  await writeFile(file, "no seed");
  expect(await run(["list", "--server", url, "--nkey", file])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("to hold the seed of a user's nkey"),
  });
});

it("--creds signs in with a file of credentials", async () => {
  const { config, credentials } = operatorMode();
  const file = join(await temporary(), "user.creds");
  await writeFile(file, credentials);
  const { url } = await serverWith(config);
  expect((await run(["list", "--server", url, "--creds", file])).stderr).toContain(REACHED);
  expect((await run(["list"], { env: { NATS_URL: url, NATS_CREDS: file } })).stderr).toContain(REACHED);
});

it("--tlsca, --tlscert and --tlskey connect by TLS with a certificate of the client", async () => {
  const authority = await Authority.create();
  onTestFinished(() => rm(authority.folder, { recursive: true, force: true }));
  const server = await authority.issue("server");
  const client = await authority.issue("client");
  const { url } = await serverWith(
    `tls { cert_file: "${server.certFile}", key_file: "${server.keyFile}", ca_file: "${authority.caFile}", verify: true }`,
  );
  const files = ["--tlsca", authority.caFile, "--tlscert", client.certFile, "--tlskey", client.keyFile];
  expect((await run(["list", "--server", url, ...files])).stderr).toContain(REACHED);
  expect((await run(["list", "--server", url.replace("nats:", "tls:"), ...files])).stderr).toContain(REACHED);
  // The client tries again and again until the time is over.
  for (const less of [["--tlsca", authority.caFile], []]) {
    expect((await run(["list", "--server", url, ...less, "--timeout", "2s"])).code).toBe(3);
  }
});

it("--context reads a context of the nats command line, which it leaves as it is", async () => {
  const { url } = await serverWith("authorization { user: app, password: hunter-two }");
  const home = await temporary();
  const folder = join(home, "nats", "context");
  await mkdir(folder, { recursive: true });
  const text = JSON.stringify({ url, user: "app", password: "hunter-two", description: "of the tests" });
  await writeFile(join(folder, "production.json"), text);
  const env = { XDG_CONFIG_HOME: home };
  expect((await run(["list", "--context", "production"], { env })).stderr).toContain(REACHED);
  const bare = { env: { ...env, NATS_CONTEXT: "production" }, bare: true };
  expect((await run(["list"], bare)).stderr).toContain(REACHED);
  // The variables belong to another connection.
  const other = { ...env, NATS_URL: "nats://127.0.0.1:1", NATS_PASSWORD: "other" };
  expect((await run(["list", "--context", "production"], { env: other })).stderr).toContain(REACHED);
  // An option goes before what the context says.
  const wrong = await run(["list", "--context", "production", "--password", "wrong"], { env });
  expect([wrong.code, wrong.stderr.includes("wrong")]).toEqual([3, false]);
  expect(await readFile(join(folder, "production.json"), "utf8")).toBe(text);
});

it("--context expands a path that begins with ~", async () => {
  const home = await temporary();
  const folder = join(home, ".config", "nats", "context");
  await mkdir(folder, { recursive: true });
  const { config, credentials } = operatorMode();
  await writeFile(join(home, "user.creds"), credentials);
  const { url } = await serverWith(config);
  await writeFile(join(folder, "home.json"), JSON.stringify({ url, creds: "~/user.creds" }));
  expect((await run(["list", "--context", "home"], { env: { HOME: home } })).stderr).toContain(REACHED);
});

it("a context that is missing, is no JSON, or needs more than a connection is wrong use, and is not quoted", async () => {
  const home = await temporary();
  const folder = join(home, "nats", "context");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "broken.json"), '{ "password": "hunter-two" ');
  await writeFile(join(folder, "proxy.json"), '{ "socks_proxy": "socks5://127.0.0.1" }');
  const env = { XDG_CONFIG_HOME: home };
  const context = async (name: string) => run(["list", "--context", name], { env });
  expect(await context("nothing")).toMatchObject({ code: 2, stderr: expect.stringContaining("(ENOENT)") });
  const broken = await context("broken");
  expect(broken.code).toBe(2);
  expect(broken.stderr).not.toContain("hunter");
  expect((await context("proxy")).stderr).toContain("a context without socks_proxy");
  expect((await context("../../etc/passwd")).stderr).toContain(
    "Expected --context to be the name of a context",
  );
});

it("encryption keys come from options, files and variables, and a file's key is not in the process list", async () => {
  const key = Buffer.alloc(32, 7);
  const { bucket, signIn } = await startApplication({ encryption: { keys: [{ id: "k1", key }] } });
  const handle = await signIn("an id", { colour: "red" });
  const folder = await temporary();
  const [text, bytes] = [join(folder, "key.txt"), join(folder, "key.bin")];
  await writeFile(text, `${key.toString("base64")}\n`);
  await writeFile(bytes, key);
  const base64 = key.toString("base64");
  const args = ["show", handle, "--data", "--bucket", bucket, "--format", "json"];
  for (const result of await Promise.all([
    run([...args, "--encryption-key", `k1=${base64}`]),
    run([
      ...args,
      "--encryption-key",
      `k0=${Buffer.alloc(32).toString("base64")}`,
      "--encryption-key",
      `k1=@${text}`,
    ]),
    run([...args, "--encryption-key", `k1=@${bytes}`]),
    run([...args, "--encryption-key", "k1=env:MY_KEY"], { env: { MY_KEY: base64 } }),
    run(args, { env: { NATS_SESSIONS_ENCRYPTION_KEYS: `k1=${base64}` } }),
  ])) {
    expect(jsonOf(result.stdout)).toMatchObject([{ data: { colour: "red" } }]);
    expect(result.stdout + result.stderr).not.toContain(base64);
  }
  const watch = start(["watch", "--bucket", bucket, "--encryption-key", `k1=@${text}`]);
  await watch.printed("Ctrl-C ends it");
  const listed = await readFile(`/proc/${watch.child.pid}/cmdline`, "utf8");
  expect(listed).toContain("k1=@");
  expect(listed).not.toContain(base64);
});

it("several servers are tried until one answers", async () => {
  const servers = `nats://127.0.0.1:1,${inject("currentServer")}`;
  expect((await run(["list", "--server", servers, "--bucket", "missing"])).stderr).toContain(REACHED);
});

it("a server without JetStream ends with 3", async () => {
  const server = await startNatsServer({ timeout: 60_000, jetstream: false });
  onTestFinished(() => server.stop());
  const { code, stderr } = await run(["list", "--server", server.url, "--timeout", "2s"]);
  expect(code).toBe(3);
  expect(stderr).toContain("ERR_SESSION_JETSTREAM_OFF");
});

it("a server that never answers ends with 3 after --timeout", async () => {
  const server = await serverWith("");
  await server.pause();
  const { code, stderr } = await run(["list", "--server", server.url, "--timeout", "500ms"]);
  await server.resume();
  expect(code).toBe(3);
  expect(stderr).toContain("ERR_SESSION_UNAVAILABLE");
});

it("--domain and --api-prefix, or a context's, name the JetStream, and a message says which was asked", async () => {
  const servers = await HubAndLeaf.start();
  onTestFinished(() => servers.stop());
  const nc = await connect({ servers: servers.hub.url });
  onTestFinished(() => nc.close());
  const store = await SessionStore.open(nc, { timeout: 60_000 });
  await store.save("an id", {});
  await store.close();
  const home = await temporary();
  const folder = join(home, "nats", "context");
  await mkdir(folder, { recursive: true });
  const { url } = servers.leaf;
  await writeFile(join(folder, "hub.json"), JSON.stringify({ url, jetstream_domain: "hub" }));
  await writeFile(join(folder, "api.json"), JSON.stringify({ url, jetstream_api_prefix: "$JS.hub.API" }));
  const env = { XDG_CONFIG_HOME: home };
  await until("the leaf node to reach the hub", async () => {
    const { code } = await run(["list", "--server", url, "--domain", "hub"]);
    return code === 0;
  });
  for (const result of await Promise.all([
    run(["list", "--format", "count", "--server", url, "--api-prefix", "$JS.hub.API"]),
    run(["list", "--format", "count", "--context", "hub"], { env }),
    run(["list", "--format", "count", "--context", "api"], { env }),
  ])) {
    expect(result).toMatchObject({ code: 0, stdout: "1\n" });
  }
  const replaced = await run(["upgrade", "--yes", "--context", "api", "--domain", "leaf"], { env });
  expect(replaced.stderr).toContain('There is no bucket "sessions" in the domain "leaf"');
  const both = await run(["list", "--server", url, "--domain", "hub", "--api-prefix", "a.b"]);
  expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("got both") });
});
