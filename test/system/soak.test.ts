import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { jetstreamManager } from "@nats-io/jetstream";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Connection, clients } from "../support/variants.js";
import { expectNothingPending } from "./support/expectations.js";
import { median, report } from "./support/figures.js";
import { Load } from "./support/load.js";

/** How long the load goes on, in s. */
const SECONDS = Number(process.env.SESSION_TEST_SOAK ?? 30);

/** How often everything is measured. */
const SAMPLES = 24;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** The pauses of the load, and what is sent at the end of this turn: how many there are at a moment says nothing. */
const PASSING = new Set(["Timeout", "Immediate"]);

/** What may grow where something is not given back. */
interface Sample {
  heap: number;
  handles: number;
  /** Subscriptions, consumers and connections as the server counts them. */
  subscriptions: number;
  consumers: number;
  connections: number;
  entries: number;
}

describe("mixed load for a long time", () => {
  let server: NatsServer;
  let connections: Connection[];
  let stores: SessionStore[];

  beforeAll(async () => {
    server = await startNatsServer();
    connections = await Promise.all(
      Object.values(clients).map((connect) => connect({ servers: server.url })),
    );
    stores = await Promise.all(connections.map((nc) => SessionStore.open(nc, { touchAfter: 0 })));
  });
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await Promise.all(connections.map((nc) => nc.close()));
    await server.stop();
    await expectNothingPending();
  });

  const monitor = async (path: string) =>
    (await (await fetch(`${server.monitorUrl}/${path}`)).json()) as never;

  async function sample(): Promise<Sample> {
    const { connections: clients, subscriptions } = (await monitor("varz")) as Record<string, number>;
    const manager = await jetstreamManager(connections[0] as never);
    const { state } = await manager.streams.info("KV_sessions");
    collect();
    return {
      heap: process.memoryUsage().heapUsed,
      handles: process.getActiveResourcesInfo().filter((kind) => !PASSING.has(kind)).length,
      subscriptions: subscriptions as number,
      consumers: state.consumer_count,
      connections: clients as number,
      entries: state.messages,
    };
  }

  /** What applications do besides: listings, some left in the middle, counts, and stores for a short while. */
  async function now(n: number): Promise<void> {
    const store = stores[n % stores.length] as SessionStore;
    for await (const _record of store.all()) if (n % 2) break;
    await store.handles().next();
    await store.count({ exact: true });
    const another = await SessionStore.open(connections[n % connections.length] as Connection, {
      prefix: "more",
    });
    await another.save("id", { n });
    await another.load("nobody");
    await another.clear();
    await another.close();
  }

  it(
    `heap, handles, subscriptions, consumers and connections level off under load for ${SECONDS} s`,
    async () => {
      const load = await Load.start(...stores);
      const samples: Sample[] = [];
      const end = performance.now() + SECONDS * 1000;
      for (let n = 0; performance.now() < end; n++) {
        await now(n);
        await sleep(Math.min((SECONDS * 1000) / SAMPLES, Math.max(0, end - performance.now())));
        // What the test itself remembers must not look like a leak.
        load.writes.length = 0;
        samples.push(await sample());
      }
      await load.verify(connections[0] as Connection, "sessions");
      expect(load.violations).toEqual([]);
      expect(load.failures).toEqual([]);

      const half = samples.slice(Math.floor(samples.length / 2));
      const [third, last] = [half.slice(0, half.length / 2), half.slice(half.length / 2)];
      const typical = (part: Sample[], kind: keyof Sample) => median(part.map((each) => each[kind]));
      const figures = Object.fromEntries(
        (["heap", "handles", "subscriptions", "consumers", "connections", "entries"] as const).map((kind) => [
          kind,
          { third: typical(third, kind), last: typical(last, kind) },
        ]),
      );
      report(SECONDS > 60 ? "soak" : "soak-short", { seconds: SECONDS, operations: load.counts, ...figures });
      for (const kind of ["handles", "subscriptions", "consumers", "connections", "entries"] as const) {
        expect(typical(last, kind), kind).toBeLessThanOrEqual(typical(third, kind) + 1);
      }
      // Far below what a leak of anything for each request would take.
      expect(typical(last, "heap")).toBeLessThan(typical(third, "heap") + 4e6);
    },
    (SECONDS + 60) * 1000,
  );
});
