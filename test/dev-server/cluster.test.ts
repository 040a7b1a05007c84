import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { debianNatsServer, type NatsCluster, startNatsCluster } from "nats-dev-server";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

const hasApt = (process.env.PATH ?? "")
  .split(delimiter)
  .some((directory) => existsSync(join(directory, "apt-get")));
const patience = { timeout: 60_000, interval: 50 };

describe.each([
  { name: "the default server", options: async () => ({}), available: true, old: false },
  {
    name: "Debian trixie's server (2.10)",
    options: async () => ({ binary: (await debianNatsServer("trixie")).path }),
    available: hasApt,
    old: true,
  },
])("a cluster of three, $name", ({ options, available, old }) => {
  describe.runIf(available)("with a stream of three replicas", { timeout: 240_000 }, () => {
    let cluster: NatsCluster;
    let nc: NatsConnection;

    beforeAll(async () => {
      cluster = await startNatsCluster(await options());
      nc = await connect({ servers: cluster.urls, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
      const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 5_000 });
      const config = { name: "SAFE", subjects: ["safe"], num_replicas: 3 };
      await vi.waitFor(() => jsm.streams.add(config), patience);
    });

    afterAll(async () => {
      await nc?.close();
      await cluster?.stop();
    });

    const publish = (id: string, via = nc) =>
      vi.waitFor(() => jetstream(via).publish("safe", id, { msgID: id, timeout: 2_000 }), patience);
    const info = () =>
      vi.waitFor(async () => (await jetstreamManager(nc, { timeout: 2_000 })).streams.info("SAFE"), patience);

    /** Whether the two followers are up to date. */
    const replicas = async () => (await info()).cluster?.replicas?.map((replica) => replica.current);
    const streamLeader = () =>
      vi.waitFor(async () => {
        const name = (await info()).cluster?.leader;
        const server = cluster.servers[Number(name?.slice(1)) - 1];
        if (server === undefined) throw new Error(`no server is named ${name}`);
        return server;
      }, patience);

    test("keeps working when the stream's leader is killed, and takes it back on its old port", async () => {
      await publish("before");
      const leader = await streamLeader();
      const { url } = leader;

      await leader.kill();
      await publish("during");

      await leader.restart();
      expect(leader.url).toBe(url);
      await expect.poll(replicas, patience).toEqual([true, true]);
      expect((await info()).state.messages).toBe(2);
    });

    test("keeps working while the stream's leader is paused, for clients of another server", async () => {
      const paused = await streamLeader();
      const other = cluster.servers.find((server) => server !== paused);
      const elsewhere = await connect({ servers: other?.url ?? "", ignoreClusterUpdates: true });
      await paused.pause();
      await publish("paused", elsewhere);
      await paused.resume();
      await elsewhere.close();
    });

    if (!old) {
      test("comes back when all were killed and are started one after the other", async () => {
        const { messages } = (await info()).state;
        await Promise.all(cluster.servers.map((server) => server.kill()));
        for (const server of cluster.servers) await server.restart();
        // One that nobody was told of may have landed since; none that was is missing.
        expect((await info()).state.messages).toBeGreaterThanOrEqual(messages);
      });

      test("comes back when all were killed and are started together", async () => {
        const { messages } = (await info()).state;
        await Promise.all(cluster.servers.map((server) => server.kill()));
        await Promise.all(cluster.servers.map((server) => server.restart()));
        // One that nobody was told of may have landed since; none that was is missing.
        expect((await info()).state.messages).toBeGreaterThanOrEqual(messages);
      });
    }

    test("stop ends every server and removes the data", async () => {
      await cluster.stop();
      expect(cluster.servers.map((server) => server.running)).toEqual([false, false, false]);
      expect(cluster.servers.some((server) => existsSync(server.dataDir))).toBe(false);
    });
  });
});

describe("startNatsCluster", () => {
  test("keeps a data directory that was given, with one folder per server", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "cluster-test-"));
    await (await startNatsCluster({ dataDir })).stop();
    expect((await readdir(dataDir)).sort()).toEqual(["n1", "n2", "n3"]);
    await rm(dataDir, { recursive: true });
  });

  test("refuses a size that is no cluster", async () => {
    await expect(startNatsCluster({ size: 1 })).rejects.toThrow(
      "Expected `size` to be a whole number of at least 2",
    );
  });

  test("a configuration that no server accepts is an error with its log", async () => {
    await expect(startNatsCluster({ config: "nonsense: {" })).rejects.toThrow("Parse error");
  });
});
