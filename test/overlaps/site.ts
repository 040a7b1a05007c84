import type { SessionStoreOptions } from "nats-session-store";
import type { Connection } from "../support/variants.js";
import type { Browser, Data, Settings } from "./scenarios.mjs";

/** An application that scenarios send requests to. */
export interface Site<B extends Browser = Browser> {
  /** The operations that met an ended session. */
  readonly gone: string[];
  /** The errors that reached the application. */
  readonly failures: unknown[];
  /** A browser without a cookie. */
  browser(): B;
  idOf(browser: B): string | undefined;
  /** The session as the browser's next request finds it, without what belongs to the framework. */
  look(browser: B): Promise<Data>;
  expiryOf(id: string): Promise<number | undefined>;
  count(): Promise<number>;
  close(): Promise<void>;
}

/** Opens a site with a process, which is a store with a connection of its own, for each connection. */
export type OpenSite = (
  connections: readonly Connection[],
  options: SessionStoreOptions,
  settings: Settings,
) => Promise<Site>;

/** Lets requests that are sent within another one go to the next process. */
export class Processes<P> {
  #running = 0;

  constructor(readonly all: readonly P[]) {}

  async run<R>(request: (process: P) => Promise<R>): Promise<R> {
    const process = this.all[Math.min(this.#running, this.all.length - 1)] as P;
    this.#running++;
    try {
      return await request(process);
    } finally {
      this.#running--;
    }
  }
}
