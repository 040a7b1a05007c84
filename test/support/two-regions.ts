import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { BadNetwork } from "./bad-network.js";
import { until } from "./wait.js";
import { allStarted, withPorts } from "./with-ports.js";

/** The servers: with two of three, "home" has the majority when the regions are cut off from each other. */
const REGIONS = ["home", "home", "away"] as const;

/**
 * Two clusters joined by gateways, with one JetStream: "home" holds the buckets, and "away" gets mirrors of them that
 * answer reads.
 */
export class TwoRegions {
  readonly #connections: NatsConnection[] = [];

  private constructor(
    readonly servers: readonly NatsServer[],
    /** What a server of the other region passes on its way to each. */
    private readonly networks: readonly BadNetwork[],
  ) {}

  static start(): Promise<TwoRegions> {
    return withPorts(2 * REGIONS.length, async (ports) => {
      const gatewayPorts = ports.slice(0, REGIONS.length);
      const routePorts = ports.slice(REGIONS.length);
      const networks = await Promise.all(gatewayPorts.map((port) => BadNetwork.start(port)));
      const listOf = (texts: readonly string[]) => `[${texts.map((text) => `"${text}"`).join(", ")}]`;
      const of = (region: string, all: readonly string[]) => all.filter((_text, n) => REGIONS[n] === region);
      const urls = networks.map(({ url }) => url);
      const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`);
      const gateways = ["home", "away"].map((name) => `{ name: ${name}, urls: ${listOf(of(name, urls))} }`);
      const configOf = (region: string, n: number) => {
        const [listen, advertise] = [`127.0.0.1:${gatewayPorts[n]}`, new URL(urls[n] ?? "").host];
        return [
          // A cluster of one server has to name a route, if only to itself.
          `cluster { name: ${region}, listen: "127.0.0.1:${routePorts[n]}", routes: ${listOf(of(region, routes))} }`,
          `gateway { name: ${region}, listen: "${listen}", advertise: "${advertise}", gateways: [${gateways}] }`,
        ].join("\n");
      };
      try {
        const servers = await allStarted(
          REGIONS.map((region, n) => {
            return startNatsServer({ name: `${region}${n}`, timeout: 90_000, config: configOf(region, n) });
          }),
        );
        return new TwoRegions(servers, networks);
      } catch (error) {
        await Promise.all(networks.map((network) => network.close()));
        throw error;
      }
    });
  }

  /** A connection to the first server of a region, which stays with it. */
  async connect(region: "home" | "away"): Promise<NatsConnection> {
    const { url } = this.servers[REGIONS.indexOf(region)] as NatsServer;
    const nc = await connect({ servers: url, ignoreClusterUpdates: true, maxReconnectAttempts: -1 });
    this.#connections.push(nc);
    return nc;
  }

  /** Makes the mirror of a bucket, which has to hold an entry; returns once it answers in its region. */
  async mirror(bucket: string): Promise<void> {
    const nc = await this.connect("away");
    const { streams } = await jetstreamManager(nc, { timeout: 30_000 });
    const name = `KV_${bucket}-away`;
    await streams.add({
      name,
      mirror: { name: `KV_${bucket}` },
      mirror_direct: true,
      max_msgs_per_subject: 1,
      placement: { cluster: "away" },
    } as never);
    const question = Buffer.from(
      JSON.stringify({ seq: (await streams.info(`KV_${bucket}`)).state.last_seq }),
    );
    await until("the mirror to answer", async () => {
      const reply = await nc.request(`$JS.API.DIRECT.GET.KV_${bucket}`, question, { timeout: 5000 });
      return reply.headers?.get("Nats-Stream") === name;
    });
  }

  /** Waits until the mirror of a bucket has a write. */
  async untilMirrored(bucket: string, revision: number): Promise<void> {
    const { streams } = await jetstreamManager(await this.connect("away"), { timeout: 30_000 });
    await until("the mirror to have a write", async () => {
      return (await streams.info(`KV_${bucket}-away`)).state.last_seq >= revision;
    });
  }

  /** Everything between the regions takes this long, each way, in ms. */
  delay(ms: number): void {
    for (const network of this.networks) network.delay(ms);
  }

  /** Cuts the regions off from each other. */
  cut(): void {
    for (const network of this.networks) network.cut();
  }

  mend(): void {
    for (const network of this.networks) network.mend();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connections.map((nc) => nc.close()));
    await Promise.all(this.servers.map((server) => server.stop()));
    await Promise.all(this.networks.map((network) => network.close()));
  }
}
