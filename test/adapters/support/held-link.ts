import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestContext } from "vitest";

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  /** Replies that wait. */
  readonly held: Buffer[];
}

/** A TCP proxy in front of nats-server that can hold the server's replies back. */
export class HeldLink {
  readonly #listener = createServer((client) => this.#accept(client));
  readonly #connections = new Set<Connection>();
  readonly #target: number;
  #isHeld = false;

  private constructor(target: number) {
    this.#target = target;
  }

  static async start(target: string, defer: TestContext["onTestFinished"]): Promise<HeldLink> {
    const link = new HeldLink(Number(new URL(target).port));
    link.#listener.listen(0, "127.0.0.1");
    await once(link.#listener, "listening");
    defer(() => {
      for (const { client } of link.#connections) client.destroy();
      link.#listener.close();
    });
    return link;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** From now on requests arrive at the server, and its replies wait. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Passes the replies on that have waited, and later ones at once. */
  release(): void {
    this.#isHeld = false;
    for (const { held, client } of this.#connections) {
      for (const data of held.splice(0)) client.write(data);
    }
  }

  #accept(client: Socket): void {
    const server = connect(this.#target, "127.0.0.1");
    const connection: Connection = { client, server, held: [] };
    this.#connections.add(connection);
    client.on("data", (data) => server.write(data));
    server.on("data", (data) => {
      if (this.#isHeld) connection.held.push(data);
      else client.write(data);
    });
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#connections.delete(connection);
        client.destroy();
        server.destroy();
      });
    }
  }
}
