import { randomUUID } from "node:crypto";
import { connect as connectV3 } from "@nats-io/transport-node";
import { connect as connectV2 } from "nats";
import type { NatsConnectionLike } from "nats-session-store";
import { inject } from "vitest";
import type { Requester } from "./put-entry.js";

/** A connection of either client generation. */
export type Connection = NatsConnectionLike & {
  close(): Promise<void>;
  flush(): Promise<void>;
  request: Requester["request"];
  stats(): { inMsgs: number; outMsgs: number };
};

export const clients: Record<string, (options: { servers: string }) => Promise<Connection>> = {
  "@nats-io/transport-node 3": (options) =>
    connectV3({ maxReconnectAttempts: -1, reconnectTimeWait: 50, ...options }),
  "nats 2.29": (options) => connectV2({ maxReconnectAttempts: -1, reconnectTimeWait: 50, ...options }),
};

export interface Variant {
  /** Client and server, for the title of a suite. */
  readonly name: string;
  /** Whether the server removes each session by its own TTL. */
  readonly ttls: boolean;
  readonly url: string;
  /** How many buckets there are; every store of `Stores` has as many. */
  readonly shards?: number;
  connect(): Promise<Connection>;
}

/** Every client generation on every kind of server. */
export function variants(): Variant[] {
  const servers = [
    { url: inject("currentServer"), ttls: !/^2\.(\d|10)\./.test(inject("currentVersion")) },
    { url: inject("oldServer"), ttls: false },
  ];
  return servers.flatMap(({ url, ttls }) =>
    url === undefined
      ? []
      : Object.entries(clients).map(([client, connect]) => ({
          name: `${client}, ${ttls ? "TTL per message" : "bucket TTL"}`,
          ttls,
          url,
          connect: () => connect({ servers: url }),
        })),
  );
}

/** Every client generation on every kind of server, and several buckets as one. */
export function variantsAndShards(): Variant[] {
  const all = variants();
  const sharded = all.slice(0, 1).map((variant) => ({
    ...variant,
    name: `three buckets, ${variant.name}`,
    shards: 3,
  }));
  return [...all, ...sharded];
}

/** Every client generation, and several buckets as one. */
export function clientsAndShards(): { name: string; connect: (typeof clients)[string]; shards: number }[] {
  const all = Object.entries(clients).map(([name, connect]) => ({ name, connect, shards: 1 }));
  const sharded = all.slice(0, 1).map((one) => ({ ...one, name: `three buckets, ${one.name}`, shards: 3 }));
  return [...all, ...sharded];
}

/** A connection of the newer client to the newer server. */
export function connectCurrent(): Promise<Connection> {
  return connectV3({ servers: inject("currentServer"), maxReconnectAttempts: -1, reconnectTimeWait: 50 });
}

/** A bucket name that nobody else uses. */
export function newBucket(): string {
  return `test-${randomUUID()}`;
}
