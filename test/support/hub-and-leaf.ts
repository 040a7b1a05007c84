import { type NatsServer, startNatsServer } from "nats-dev-server";
import { BadNetwork } from "./bad-network.js";
import { until } from "./wait.js";
import { allStarted, withPorts } from "./with-ports.js";

/** The address of the hub in a leaf node's configuration. */
const HUB = "nats://hub.example:7422";

/** A hub and a leaf node, each with a JetStream of its own: the domains "hub" and "leaf". */
export class HubAndLeaf {
  private constructor(
    readonly hub: NatsServer,
    readonly leaf: NatsServer,
    /** What lies between them; the hub tells its address as that of the network. */
    readonly network: BadNetwork,
  ) {}

  /** @param leafConfig names the hub's address as the documentation does */
  static start(
    leafConfig = `jetstream { domain: leaf }\nleafnodes { remotes: [ { url: "${HUB}" } ] }`,
  ): Promise<HubAndLeaf> {
    return withPorts(1, async ([port = 0]) => {
      const network = await BadNetwork.start(port);
      const listen = `listen: "127.0.0.1:${port}", advertise: "${new URL(network.url).host}"`;
      try {
        const [hub, leaf] = await allStarted([
          startNatsServer({ name: "hub", config: `jetstream { domain: hub }\nleafnodes { ${listen} }` }),
          startNatsServer({ name: "leaf", config: leafConfig.replace(HUB, network.url) }),
        ]);
        const servers = new HubAndLeaf(hub as NatsServer, leaf as NatsServer, network);
        await until("the leaf node to reach the hub", () => servers.#isConnected());
        return servers;
      } catch (error) {
        await network.close();
        throw error;
      }
    });
  }

  async #isConnected(): Promise<boolean> {
    const answer = await fetch(`${this.leaf.monitorUrl}/leafz`);
    return ((await answer.json()) as { leafnodes: number }).leafnodes > 0;
  }

  async stop(): Promise<void> {
    await Promise.all([this.hub.stop(), this.leaf.stop()]);
    await this.network.close();
  }
}
