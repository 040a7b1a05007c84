import { jetstreamManager, type StreamInfo } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsCluster, type NatsServer, startNatsCluster } from "nats-dev-server";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import { openPatient } from "../../support/patient.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";

/** A cluster of three with a connection to each node and a bucket of three replicas. */
export class Nodes {
  readonly bucket = newBucket();

  private constructor(
    readonly cluster: NatsCluster,
    readonly connections: readonly NatsConnection[],
  ) {}

  static async start(): Promise<Nodes> {
    const cluster = await startNatsCluster({ timeout: 90_000 });
    const dial = (servers: string) =>
      connect({ servers, ignoreClusterUpdates: true, maxReconnectAttempts: -1 });
    return new Nodes(cluster, await Promise.all(cluster.urls.map(dial)));
  }

  async close(): Promise<void> {
    await Promise.all(this.connections.map((nc) => nc.close()));
    await this.cluster.stop();
  }

  /** A store at each node. */
  open<T extends object = Record<string, unknown>>(
    options: SessionStoreOptions = {},
  ): Promise<SessionStore<T>[]> {
    const shared = { bucket: this.bucket, replicas: 3, touchAfter: 0, ...options };
    return Promise.all(this.connections.map((nc) => openPatient<T>(nc, shared)));
  }

  async info(bucket = this.bucket): Promise<StreamInfo | undefined> {
    const manager = await jetstreamManager(this.connections[0] as NatsConnection, {
      checkAPI: false,
      timeout: 5000,
    });
    return manager.streams.info(`KV_${bucket}`).catch(() => undefined);
  }

  /** The number of the bucket's leader, once there is one whose replicas are all up to date. */
  async leader(bucket = this.bucket): Promise<number> {
    let name: string | undefined;
    await until(
      "a leader with all replicas",
      async () => {
        const { leader, replicas = [] } = (await this.info(bucket))?.cluster ?? {};
        name = leader;
        return leader !== undefined && replicas.length === 2 && replicas.every(({ current }) => current);
      },
      60_000,
    );
    return Number(name?.slice(1)) - 1;
  }

  server(n: number): NatsServer {
    return this.cluster.servers[n % 3] as NatsServer;
  }

  /** Makes a server, by its number, the leader of a bucket with three replicas. */
  async lead(server: number, bucket = this.bucket): Promise<void> {
    const name = `n${server + 1}`;
    const [nc] = this.connections as [NatsConnection];
    const subject = `$JS.API.STREAM.LEADER.STEPDOWN.KV_${bucket}`;
    const wish = JSON.stringify({ placement: { preferred: name } });
    await until(
      `${name} to lead ${bucket}`,
      async () => {
        if ((await this.leader(bucket)) === server) return true;
        await nc.request(subject, wish, { timeout: 5000 }).catch(() => {});
        return false;
      },
      60_000,
    );
  }

  /** Gives a bucket so many replicas; returns when all of them are up to date. */
  async replicate(bucket: string, count: number): Promise<void> {
    const [nc] = this.connections as [NatsConnection];
    const { streams } = await jetstreamManager(nc, { checkAPI: false, timeout: 5000 });
    const isSet = () =>
      streams.update(`KV_${bucket}`, { num_replicas: count }).then(
        () => true,
        () => false,
      );
    await until(`${count} replicas of ${bucket}`, isSet, 60_000);
    const isReady = async () => {
      const { leader, replicas = [] } = (await this.info(bucket))?.cluster ?? {};
      const others = replicas.filter(({ current }) => current).length;
      return Boolean(leader) && replicas.length === count - 1 && others === count - 1;
    };
    await until(`${count} replicas of ${bucket} that are up to date`, isReady, 60_000);
  }

  /** Makes the bucket's leader step down and waits for the next one, which may be the same node again. */
  async stepDown(): Promise<void> {
    const nc = this.connections[0] as NatsConnection;
    const subject = `$JS.API.STREAM.LEADER.STEPDOWN.KV_${this.bucket}`;
    // A server does not answer before the last election is over for it.
    const isDone = async () => {
      const asked = nc.request(subject, "", { timeout: 5000 });
      const answer = await asked.then((reply) => reply.json<{ success?: boolean }>()).catch(() => undefined);
      return answer?.success === true;
    };
    await until("the bucket's leader to step down", isDone, 60_000);
    const hasLeader = async () => (await this.info())?.cluster?.leader !== undefined;
    await until("the bucket to have a leader", hasLeader, 60_000);
  }
}
