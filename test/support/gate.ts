import type { Connection } from "./variants.js";
import { until } from "./wait.js";

/** Holds back what a store sends over a connection, as a slow or broken network does for one message. */
export class Gate {
  readonly connection: Connection;
  #isHeld: (subject: string) => boolean = () => false;
  #held: (() => void)[] = [];

  /** @param delay how much later a message to a subject leaves, in ms */
  constructor(nc: Connection, delay: (subject: string) => number = () => 0) {
    const publish: Connection["publish"] = (subject, ...rest) => {
      const send = () => {
        if (!nc.isClosed()) nc.publish(subject, ...rest);
      };
      const ms = delay(subject);
      if (this.#isHeld(subject)) this.#held.push(send);
      else if (ms > 0) setTimeout(send, ms);
      else send();
    };
    this.connection = new Proxy(nc, {
      get(target, name) {
        if (name === "publish") return publish;
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** From now on messages to these subjects are held back. */
  hold(isHeld: (subject: string) => boolean): void {
    this.#isHeld = isHeld;
  }

  /** Resolves when so many messages are held back. */
  async holding(count = 1): Promise<void> {
    await until(`${count} messages to be held back`, () => this.#held.length >= count);
  }

  /** Sends what was held back, and holds nothing back any more. */
  release(): void {
    this.#isHeld = () => false;
    for (const send of this.#held.splice(0)) send();
  }

  /** Forgets what was held back, and holds nothing back any more. */
  drop(): void {
    this.#isHeld = () => false;
    this.#held = [];
  }
}
