import type { NatsConnection } from "@nats-io/transport-node";

/** What each step of the tour is given. */
export interface Tour {
  /** A connection to a server with JetStream. The steps use it and leave it open. */
  nc: NatsConnection;
  /** The address of that server, for steps that start more connections or processes. */
  servers: string;
  /** Prints a line, at once. */
  say(text: string): void;
  /** Ends the server and starts it again on the same port and data. */
  restartServer(): Promise<void>;
}

/** One page of the tour. It uses buckets of its own and deletes them, so that it can be run again. */
export interface Step {
  title: string;
  run(tour: Tour): Promise<void>;
}
