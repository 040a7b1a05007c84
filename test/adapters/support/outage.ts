import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { TestContext } from "vitest";

/**
 * A function that connects, whose connection a test can take away: operations then fail at once, and work at once when
 * the test gives it back. No test has to wait for a timeout, which a busy machine could exceed by itself.
 */
export class Outage {
  readonly #url: string;
  readonly #connections: NatsConnection[] = [];
  #isDown = false;

  constructor(url: string, defer: TestContext["onTestFinished"]) {
    this.#url = url;
    defer(() => this.begin());
  }

  readonly connect = async (): Promise<NatsConnection> => {
    if (this.#isDown) throw new Error("no connection in this test");
    const connection = await connect({ servers: this.#url });
    this.#connections.push(connection);
    return connection;
  };

  async begin(): Promise<void> {
    this.#isDown = true;
    await Promise.all(this.#connections.splice(0).map((connection) => connection.close()));
  }

  end(): void {
    this.#isDown = false;
  }
}
