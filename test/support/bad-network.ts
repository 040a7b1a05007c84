import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Both ends stay open, and nothing passes any more. */
  dead: boolean;
  /** Whether it has carried the text that decides which connections are delayed. */
  isMarked: boolean;
}

/** A TCP proxy on 127.0.0.1 that can be a bad network. */
export class BadNetwork {
  readonly #target: number;
  readonly #listener: Server;
  readonly #links = new Set<Link>();
  #refusing = false;
  #latency = 0;
  #mark: string | undefined;
  #isReset: () => boolean = () => false;
  /** How many connections were reset. */
  resets = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#listener = createServer((client) => this.#accept(client));
  }

  static async start(target: number): Promise<BadNetwork> {
    const network = new BadNetwork(target);
    network.#listener.listen(0, "127.0.0.1");
    await once(network.#listener, "listening");
    return network;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** Ends all connections and takes no new ones until `mend()`. */
  cut(): void {
    this.#refusing = true;
    for (const link of this.#links) drop(link);
  }

  /** From now on nothing passes on the connections there are; nobody is told. New ones work. */
  freeze(): void {
    for (const link of this.#links) link.dead = true;
  }

  /**
   * Everything arrives this much later, each way, in ms.
   * @param carrying only on connections that carry this text, from then on
   */
  delay(ms: number, carrying?: string): void {
    this.#latency = ms;
    this.#mark = carrying;
  }

  /** Resets a connection instead of passing something on, with this probability. */
  reset(probability: number, random: () => number): void {
    this.#isReset = () => random() < probability;
  }

  mend(): void {
    this.#refusing = false;
    this.#latency = 0;
    this.#isReset = () => false;
  }

  async close(): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const server = connect(this.#target, "127.0.0.1");
    const link: Link = { client, server, dead: false, isMarked: false };
    this.#links.add(link);
    this.#pass(link, client, server);
    this.#pass(link, server, client);
  }

  #pass(link: Link, from: Socket, to: Socket): void {
    const later = (act: () => void) => {
      const isDelayed = this.#latency > 0 && (this.#mark === undefined || link.isMarked);
      if (isDelayed) setTimeout(act, this.#latency);
      else act();
    };
    from.setNoDelay(true);
    from.on("data", (data) => {
      if (link.dead) return;
      if (this.#mark !== undefined && data.includes(this.#mark)) link.isMarked = true;
      if (this.#isReset()) {
        this.resets++;
        drop(link);
        return;
      }
      later(() => {
        if (!link.dead && !to.destroyed) to.write(data);
      });
    });
    from.on("error", () => {});
    from.on("close", () => {
      this.#links.delete(link);
      if (!link.dead) later(() => to.destroy());
      else drop(link);
    });
  }
}

function drop({ client, server }: Link): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}
