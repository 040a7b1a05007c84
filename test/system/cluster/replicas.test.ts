import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { LITTLE, rounds } from "../support/expectations.js";
import { Load } from "../support/load.js";
import { SplitCluster, streamInfo } from "../support/split-cluster.js";

const TIMEOUT = 2000;

describe("a bucket of one replica that gets three while stores use it", () => {
  let cluster: SplitCluster;
  let bucket: string;
  let stores: SessionStore[];
  let connections: NatsConnection[];

  beforeEach(async () => {
    bucket = newBucket();
    cluster = await SplitCluster.start();
    connections = await Promise.all([0, 1, 2].map((n) => cluster.connect(n)));
    await cluster.make(bucket, 1);
    const options = { bucket, timeout: TIMEOUT, touchAfter: 0 };
    stores = await Promise.all(connections.map((own) => answered(() => SessionStore.open(own, options))));
  });
  afterEach(async () => {
    cluster.mend();
    await Promise.all(stores.map((store) => store.close()));
    await cluster.stop();
  });

  async function setReplicas(count: number): Promise<void> {
    const [nc] = connections as [NatsConnection];
    const { streams } = await jetstreamManager(nc, { checkAPI: false });
    const set = async () => {
      try {
        await streams.update(`KV_${bucket}`, { num_replicas: count });
        return true;
      } catch {
        return false;
      }
    };
    await until(`${count} replicas`, set, 60_000);
    const isReady = async () => {
      const { leader, replicas = [] } = (await streamInfo(nc, bucket))?.cluster ?? {};
      return (
        leader !== undefined && replicas.length === count - 1 && replicas.every(({ current }) => current)
      );
    };
    await until(`${count} replicas that are up to date`, isReady, 60_000);
  }

  it("loses nothing on the way there and back", async () => {
    const load = await Load.start(...stores);
    await load.further(10);
    for (let round = 0; round < rounds(1, 3); round++) {
      await setReplicas(3);
      await load.further(20);
      await setReplicas(1);
      await load.further(20);
    }
    await load.verify(connections[0] as NatsConnection, bucket);
    expect(load.violations).toEqual([]);
    expect(load.codes.filter((code) => code !== "ERR_SESSION_UNAVAILABLE")).toEqual([]);
    expect(load.slowest).toBeLessThan(TIMEOUT + LITTLE);
  });

  it("has copies that lag behind from then on, which hide no session and keep none from being ended", async () => {
    await setReplicas(3);
    const leader = await cluster.leader(bucket);
    const follower = (leader + 1) % 3;
    const [here, there] = [stores[follower], stores[leader]] as [SessionStore, SessionStore];
    const has = async (sequence: number) => (await cluster.lastAt(follower, bucket)) >= sequence;
    const last = async () =>
      (await streamInfo(connections[leader] as NatsConnection, bucket))?.state?.last_seq ?? 0;
    cluster.delayReplication(follower, 500);
    await until("a follower that is behind", async () => {
      const { record } = await answered(() => there.save("probe", {}));
      return !(await has(record?.revision as number));
    });
    const count = 20;
    let behind = 0;
    // On a busy machine the follower may have caught up before it is asked.
    for (let round = 0; round < 5 || (behind === 0 && round < 30); round++) {
      const ids = Array.from({ length: count }, (_, n) => `id-${round}-${n}`);
      const each = <T>(operation: (id: string) => Promise<T>) =>
        Promise.all(ids.map((id) => answered(() => operation(id))));
      await each((id) => there.save(id, { n: 1 }));
      await each((id) => there.destroy(id));
      const tombstones = await last();
      await until("the follower to have the ends", () => has(tombstones));
      await each((id) => there.save(id, { n: 2 }));
      const begun = await last();
      if (!(await has(begun))) behind++;
      // The follower answers one of three reads, and shows the ends.
      const found = await each((id) => here.load(id));
      const ended = await each((id) => here.destroy(id));
      expect(found.map((record) => record?.data.n)).toEqual(Array(count).fill(2));
      expect(ended).toEqual(Array(count).fill(true));
      // The follower shows them to a store that does not know of their ends, until it has caught up.
      const ends = await last();
      await until("the follower to have caught up", () => has(ends));
      expect(await each((id) => there.load(id))).toEqual(Array(count).fill(null));
    }
    expect(behind, "rounds in which the follower was behind").toBeGreaterThan(0);
  });
});
