import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BadNetwork } from "../../support/bad-network.js";
import { openPatient } from "../../support/patient.js";
import { until } from "../../support/wait.js";
import { Nodes } from "../support/nodes.js";

/** Each way between the flooded store and its server, in ms: so the answers, not this machine, are what is waited for. */
const LATENCY = 10;

/** Loads of a flood: so many that the confirmations take long, however many there are at a time. */
const FLOOD = 10_000;

describe("three replicas, and a flood of loads in one process,", () => {
  let nodes: Nodes;
  let network: BadNetwork;
  let flooded: NatsConnection;
  let store: SessionStore;
  let other: SessionStore;
  let leaderReads = 0;

  beforeAll(async () => {
    nodes = await Nodes.start();
    [other] = (await nodes.open()) as [SessionStore];
    network = await BadNetwork.start(nodes.server(0).port);
    flooded = await connect({ servers: network.url, ignoreClusterUpdates: true });
    store = await openPatient(flooded, { bucket: nodes.bucket });
    const listener = nodes.connections[1] as NatsConnection;
    listener.subscribe(`$JS.API.STREAM.MSG.GET.KV_${nodes.bucket}`, { callback: () => void leaderReads++ });
    await listener.flush();
  });
  afterAll(async () => {
    await store.close();
    await flooded.close();
    await network.close();
    await nodes.close();
  });

  /** Floods the store with ids, and does what its visitors do, once for each id, while the flood waits. */
  async function whileFlooded(ids: string[], visit: (id: string) => Promise<void>): Promise<void> {
    network.delay(LATENCY);
    let answered = 0;
    const flood = Promise.all(
      ids.map(async (id) => {
        const found = await store.load(id).catch((error: { code?: string }) => error.code);
        answered++;
        return found;
      }),
    );
    // The flood has filled its line.
    await until("the first answers of the flood", () => answered > 0);
    await Promise.all(Array.from({ length: 20 }, (_, n) => visit(`${ids[0]}-visitor-${n}`)));
    const left = ids.length - answered;
    network.mend();
    expect(new Set(await flood)).toEqual(new Set([null]));
    expect(left, "loads of the flood that were still waiting").toBeGreaterThan(ids.length / 3);
  }

  /** A visitor of this process whose session others have written, so that each step asks the leader. */
  async function visit(id: string): Promise<void> {
    await other.save(id, { n: 0 });
    const record = await store.load(id);
    expect(record?.data).toEqual({ n: 0 });
    await other.save(id, { n: 0, theirs: 1 }, { record: (await other.load(id)) as never });
    const { outcome } = await store.save(id, { n: 1 }, { record: record as never });
    expect(outcome).toBe("merged");
    expect(await store.destroy(id)).toBe(true);
    expect(await store.load(id)).toBeNull();
  }

  it("of made-up ids, delays no load, conflict or sign-out of others, and no sign-out that others see", async () => {
    const ended = "ended elsewhere";
    await other.save(ended, {});
    await other.destroy(ended);
    await whileFlooded(
      Array.from({ length: FLOOD }, (_, n) => `junk-${n}`),
      async (id) => {
        await visit(id);
        expect(await store.load(ended)).toBeNull();
      },
    );
  });

  it("of ids of sessions that have ended in other processes, delays none either", async () => {
    const ids = Array.from({ length: FLOOD / 4 }, (_, n) => `ended-${n}`);
    await Promise.all(ids.map((id) => other.save(id, {})));
    await Promise.all(ids.map((id) => other.destroy(id)));
    await whileFlooded(ids, visit);
  });

  it("of ids of sessions that have ended in this process, asks the leader for none", async () => {
    const ids = Array.from({ length: 1000 }, (_, n) => `own-${n}`);
    await Promise.all(ids.map((id) => store.save(id, {})));
    await Promise.all(ids.map((id) => store.destroy(id)));
    const asked = async () => {
      const before = leaderReads;
      const found = await Promise.all(ids.map((id) => store.load(id)));
      expect(new Set(found)).toEqual(new Set([null]));
      await nodes.connections[1]?.flush();
      return leaderReads - before;
    };
    // Until then a replica that lags behind shows some of them alive.
    await until("loads that ask the leader for none", async () => (await asked()) === 0);
  });
});
