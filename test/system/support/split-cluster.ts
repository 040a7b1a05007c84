import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, nextPort, startNatsServer } from "nats-dev-server";
import { BadNetwork } from "../../support/bad-network.js";
import { openPatient } from "../../support/patient.js";
import { until } from "../../support/wait.js";

const SIZE = 3;

/** What servers send each other for the replicas of a stream, on connections that carry nothing of clients. */
const REPLICATION = "$NRG.";

interface Link {
  readonly ends: readonly [from: number, to: number];
  readonly network: BadNetwork;
}

/** Three servers whose connections to each other can be cut or slowed down, while clients reach each of them. */
export class SplitCluster {
  readonly #connections: NatsConnection[] = [];

  private constructor(
    readonly servers: readonly NatsServer[],
    private readonly links: readonly Link[],
  ) {}

  static async start(): Promise<SplitCluster> {
    const numbers = Array.from({ length: SIZE }, (_, n) => n);
    const ports = numbers.map(nextPort);
    const links = await Promise.all(
      numbers.flatMap((from) =>
        numbers
          .filter((to) => to !== from)
          .map(async (to): Promise<Link> => {
            return { ends: [from, to], network: await BadNetwork.start(ports[to] as number) };
          }),
      ),
    );
    const servers = await Promise.all(
      numbers.map((n) => {
        const routes = links.filter(({ ends }) => ends[0] === n).map(({ network }) => `"${network.url}"`);
        const listen = `listen: "127.0.0.1:${ports[n]}", advertise: "127.0.0.1:1", no_advertise: true`;
        return startNatsServer({
          name: `n${n}`,
          timeout: 90_000,
          config: `cluster { name: split, ${listen}, routes: [${routes.join(", ")}] }`,
        });
      }),
    );
    return new SplitCluster(servers, links);
  }

  /** Makes a bucket, as soon as the cluster knows enough of its servers for it. */
  async make(bucket: string, replicas: number): Promise<void> {
    const nc = await this.connect(0);
    await until(
      `a bucket of ${replicas} replicas`,
      async () => {
        try {
          await (await openPatient(nc, { bucket, replicas })).close();
          return true;
        } catch (error) {
          if ((error as { code?: string }).code !== "ERR_SESSION_SERVER") throw error;
          return false;
        }
      },
      60_000,
    );
  }

  /** A connection to one of the servers, which stays with it. */
  async connect(n: number): Promise<NatsConnection> {
    const { url } = this.servers[n % SIZE] as NatsServer;
    const nc = await connect({ servers: url, ignoreClusterUpdates: true, maxReconnectAttempts: -1 });
    this.#connections.push(nc);
    return nc;
  }

  /** The number of the server that leads a bucket, once all replicas are up to date. */
  async leader(bucket: string): Promise<number> {
    const nc = await this.connect(0);
    let leader: string | undefined;
    await until(
      "a leader with all replicas",
      async () => {
        const answer = await streamInfo(nc, bucket);
        const { replicas = [] } = answer?.cluster ?? {};
        leader = answer?.cluster?.leader;
        return (
          leader !== undefined && replicas.length === SIZE - 1 && replicas.every(({ current }) => current)
        );
      },
      60_000,
    );
    await nc.close();
    return Number(leader?.slice(1));
  }

  /** The number of the last write to a bucket that a server has; any server answers reads, whichever is asked. */
  async lastAt(n: number, bucket: string): Promise<number> {
    const { monitorUrl } = this.servers[n % SIZE] as NatsServer;
    const answer = await fetch(`${monitorUrl}/jsz?streams=true`);
    const { account_details: accounts = [] } = (await answer.json()) as Monitored;
    const streams = accounts.flatMap(({ stream_detail: streams = [] }) => streams);
    return streams.find(({ name }) => name === `KV_${bucket}`)?.state.last_seq ?? 0;
  }

  /** Cuts a server off from the others. */
  isolate(n: number): void {
    for (const network of this.#linksOf(n)) network.cut();
  }

  /** From now on a server learns of writes this much later, in ms, and of nothing else. */
  delayReplication(n: number, ms: number): void {
    for (const network of this.#linksOf(n)) network.delay(ms, REPLICATION);
  }

  mend(): void {
    for (const { network } of this.links) network.mend();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connections.map((nc) => nc.close()));
    await Promise.all(this.servers.map((server) => server.stop()));
    await Promise.all(this.links.map(({ network }) => network.close()));
  }

  #linksOf(n: number): BadNetwork[] {
    return this.links.filter(({ ends }) => ends.includes(n)).map(({ network }) => network);
  }
}

/** What a server says of itself where it is monitored. */
interface Monitored {
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly state: { readonly last_seq: number };
    }[];
  }[];
}

/** What a server says of a bucket's stream. */
export interface StreamAnswer {
  readonly error?: { readonly err_code: number };
  readonly state?: { readonly last_seq: number };
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly current: boolean }[];
  };
}

export async function streamInfo(nc: NatsConnection, bucket: string): Promise<StreamAnswer | undefined> {
  const asked = nc.request(`$JS.API.STREAM.INFO.KV_${bucket}`, "", { timeout: 2000 });
  return asked.then((reply) => reply.json<StreamAnswer>()).catch(() => undefined);
}
