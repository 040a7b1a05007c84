import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "nats-dev-server";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import { onTestFinished, type TestContext } from "vitest";
import { BadNetwork } from "./bad-network.js";
import { openPatient } from "./patient.js";
import type { Data } from "./stores.js";
import { type Connection, newBucket } from "./variants.js";

type Connect = (options: { servers: string }) => Promise<Connection>;
type Defer = TestContext["onTestFinished"];

/** A server of its own, one process that writes, and one that reads over a network which can be cut. */
export class TwoProcesses {
  readonly bucket = newBucket();

  private constructor(
    readonly server: NatsServer,
    readonly network: BadNetwork,
    readonly connect: Connect,
    private readonly defer: Defer,
    /** How many buckets the stores have. */
    private readonly shards: number,
  ) {}

  /** What it starts ends with the test. @param defer that of the test, where tests run at the same time */
  static async start(
    connect: Connect,
    options: NatsServerOptions = {},
    defer: Defer = onTestFinished,
    shards = 1,
  ): Promise<TwoProcesses> {
    const server = await startNatsServer(options);
    defer(() => server.stop());
    const network = await BadNetwork.start(server.port);
    defer(() => network.close());
    return new TwoProcesses(server, network, connect, defer, shards);
  }

  async nc(servers = this.server.url): Promise<Connection> {
    // The server states its own address, which would be a way around the network.
    const nc = await this.connect({ servers, ignoreClusterUpdates: true } as { servers: string });
    this.defer(() => nc.close());
    return nc;
  }

  /** The store of a process that writes. */
  writer(options: SessionStoreOptions = {}): Promise<SessionStore<Data>> {
    return this.#open(this.server.url, options);
  }

  /** The store behind the network. */
  reader(options: SessionStoreOptions = {}): Promise<SessionStore<Data>> {
    return this.#open(this.network.url, options);
  }

  async #open(servers: string, options: SessionStoreOptions): Promise<SessionStore<Data>> {
    const nc = await this.nc(servers);
    const { bucket, shards } = this;
    const store = await openPatient<Data>(nc, { bucket, shards, touchAfter: 0, ...options });
    this.defer(() => store.close());
    return store;
  }

  /** Keeps the server's data as they are now. @returns puts them back, as a restored backup does */
  async backUp(): Promise<() => Promise<void>> {
    const data = this.server.dataDir;
    const copy = `${data}-backup`;
    this.defer(() => rm(copy, { recursive: true, force: true }));
    await this.server.kill();
    await cp(data, copy, { recursive: true });
    await this.server.restart();
    return async () => {
      await this.server.kill();
      await rm(join(data, "jetstream"), { recursive: true, force: true });
      await cp(copy, data, { recursive: true });
      await this.server.restart();
    };
  }
}
