import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "nats-dev-server";
import { afterEach, describe, expect, test } from "vitest";

const servers: NatsServer[] = [];
const connections: NatsConnection[] = [];

async function start(options?: NatsServerOptions): Promise<NatsServer> {
  const server = await startNatsServer(options);
  servers.push(server);
  return server;
}

async function client(server: NatsServer): Promise<NatsConnection> {
  const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  connections.push(nc);
  return nc;
}

/** Stores one message in a new stream. */
async function store(server: NatsServer, stream = "KEPT"): Promise<void> {
  const nc = await client(server);
  await (await jetstreamManager(nc)).streams.add({ name: stream, subjects: [stream] });
  await jetstream(nc).publish(stream, "hello");
}

async function stored(server: NatsServer, stream = "KEPT"): Promise<number> {
  const jsm = await jetstreamManager(await client(server));
  return (await jsm.streams.info(stream)).state.messages;
}

afterEach(async () => {
  await Promise.all(connections.splice(0).map((nc) => nc.close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

describe("startNatsServer", () => {
  test("gives a server whose JetStream answers at once", async () => {
    const server = await start();
    expect(server.url).toBe(`nats://127.0.0.1:${server.port}`);
    expect(server.version).toMatch(/^2\.\d+\.\d+/);
    expect(server.running).toBe(true);
    await store(server);
    expect(await stored(server)).toBe(1);
    expect(server.log()).toContain("Server is ready");
  });

  test("two servers at the same time share nothing", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    expect(one.port).not.toBe(two.port);
    expect(one.dataDir).not.toBe(two.dataDir);
    await store(one);
    await expect(stored(two)).rejects.toThrow("stream not found");
  });

  test("takes another port when the one it meant to take is in use", async () => {
    const before = await start();
    const occupied = createServer().listen(before.port + 1, "127.0.0.1");
    await new Promise((resolve) => occupied.once("listening", resolve).once("error", resolve));
    const server = await start();
    expect(server.port).not.toBe(before.port + 1);
    await store(server);
    occupied.close();
  });

  test("without JetStream it accepts connections", async () => {
    const server = await start({ jetstream: false });
    const nc = await client(server);
    expect(nc.info?.jetstream).toBeUndefined();
    await nc.flush();
  });

  test("appends configuration, which may demand credentials", async () => {
    const config = "max_payload: 4096\nauthorization { user: ann, password: secret }";
    const server = await start({ config, name: "guarded" });
    await expect(connect({ servers: server.url })).rejects.toThrow(/authorization/i);
    const nc = await connect({ servers: server.url, user: "ann", pass: "secret" });
    connections.push(nc);
    expect(nc.info).toMatchObject({ max_payload: 4096, server_name: "guarded" });
    await jetstreamManager(nc);
  });

  test.each([{ port: 0 }, { port: 65_536 }, { port: 1.5 }, { timeout: 0 }, { timeout: Number.NaN }])(
    "refuses %o",
    async (options) => {
      await expect(startNatsServer(options)).rejects.toThrow(TypeError);
    },
  );

  test("a server that ends early is an error with its log", async () => {
    await expect(startNatsServer({ config: "nonsense: {" })).rejects.toThrow(
      /ended with code 1 before it was ready\. Its log ends with:\n.*Parse error/s,
    );
  });

  test("a given port that is in use is an error with its log", async () => {
    const { port } = await start();
    await expect(startNatsServer({ port })).rejects.toThrow(/before it was ready.*address already in use/s);
  });

  test("a server that is not ready in time is ended and an error with its log", async () => {
    const directory = await mkdtemp(join(tmpdir(), "server-test-"));
    const binary = join(directory, "never-ready");
    const script =
      '#!/bin/sh\n[ "$1" = --version ] && exec echo nats-server: v9.8.7\necho busy as $$\nexec sleep 60\n';
    await writeFile(binary, script, { mode: 0o755 });
    let timeout = 1_000;
    let error = new Error();
    let pid = 0;
    // On a busy machine the script itself may take long to start.
    for (; pid === 0 && timeout < 20_000; timeout *= 4) {
      error = await startNatsServer({ binary, timeout }).catch((reason) => reason);
      expect(error.message).toContain(`was not ready within ${timeout} ms.`);
      pid = Number(/busy as (\d+)/.exec(error.message)?.[1] ?? 0);
    }
    expect(error.message).toMatch(/nats-server 9\.8\.7 .*busy as \d+/s);
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    await rm(directory, { recursive: true });
  });
});

describe("stop", () => {
  test("ends the server and removes its temporary data; again does nothing", async () => {
    const server = await start();
    await server.stop();
    expect(server.running).toBe(false);
    expect(server.log()).toContain("Initiating Shutdown");
    expect(existsSync(server.dataDir)).toBe(false);
    await expect(connect({ servers: server.url })).rejects.toThrow();
    await server.stop();
  });

  test("ends a paused server, and one that was killed", async () => {
    const [paused, killed] = [await start(), await start()];
    await paused.pause();
    await killed.kill();
    await Promise.all([paused.stop(), killed.stop()]);
    expect(paused.running).toBe(false);
    expect(existsSync(paused.dataDir)).toBe(false);
    expect(existsSync(killed.dataDir)).toBe(false);
  });

  test("happens at the end of `await using`", async () => {
    let inside: NatsServer;
    {
      await using server = await startNatsServer();
      inside = server;
    }
    expect(inside.running).toBe(false);
  });

  test("keeps a data directory that was given, for the next server", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "server-test-"));
    const first = await start({ dataDir });
    await store(first);
    await first.stop();
    const second = await start({ dataDir });
    expect(second.dataDir).toBe(dataDir);
    expect(await stored(second)).toBe(1);
    await second.stop();
    await rm(dataDir, { recursive: true });
  });
});

describe("kill and restart", () => {
  test("kill ends the server at once and keeps the data; restart brings both back on the same port", async () => {
    const server = await start();
    const { url, pid } = server;
    await store(server);
    await server.kill();
    expect(server.running).toBe(false);
    await expect(connect({ servers: url })).rejects.toThrow();

    await server.restart();
    expect(server.url).toBe(url);
    expect(server.pid).not.toBe(pid);
    expect(await stored(server)).toBe(1);
  });

  test("restart ends a running server first, and a client finds it again", async () => {
    const server = await start();
    await store(server);
    const nc = await client(server);
    const back = nc.status()[Symbol.asyncIterator]();
    await server.restart();
    for (let event = await back.next(); event.value?.type !== "reconnect"; event = await back.next());
    expect(await stored(server)).toBe(1);
  });

  test("restart can change the configuration, which then stays", async () => {
    const server = await start({ config: "max_payload: 4096" });
    await server.restart({ config: "max_payload: 8192" });
    await server.restart();
    expect((await client(server)).info?.max_payload).toBe(8192);
  });

  test("restart can turn JetStream off, and on again with its data", async () => {
    const server = await start();
    await store(server);
    await server.restart({ jetstream: false });
    const nc = await client(server);
    expect(nc.info?.jetstream).not.toBe(true);
    await server.restart({ jetstream: true });
    expect(await stored(server)).toBe(1);
  });

  test("reload changes the configuration of a running server, and says when it is refused", async () => {
    const server = await start();
    const nc = await client(server);
    const pid = server.pid;
    await server.reload("max_payload: 4096");
    expect(server.pid).toBe(pid);
    expect((await client(server)).info?.max_payload).toBe(4096);
    expect(nc.isClosed()).toBe(false);
    await expect(server.reload("no such setting")).rejects.toThrow("does not take the configuration");
    expect(server.running).toBe(true);
  });

  test("a restart that fails leaves the server down, its data kept, and can be tried again", async () => {
    const server = await start();
    await store(server);
    await expect(server.restart({ config: "nonsense: {" })).rejects.toThrow("Parse error");
    expect(server.running).toBe(false);
    await server.restart({ config: "" });
    expect(await stored(server)).toBe(1);
  });

  test("kill during a restart waits for its turn", async () => {
    const server = await start();
    await Promise.all([server.restart(), server.kill()]);
    expect(server.running).toBe(false);
  });
});

describe("pause and resume", () => {
  test("a paused server holds its connections and answers nothing until it goes on", async () => {
    const server = await start();
    const nc = await client(server);
    await server.pause();
    expect(server.running).toBe(true);
    await expect(nc.request("$JS.API.INFO", "", { timeout: 200 })).rejects.toThrow();
    const answer = nc.request("$JS.API.INFO", "", { timeout: 10_000 });
    await server.resume();
    await answer;
    expect(nc.isClosed()).toBe(false);
  });
});
