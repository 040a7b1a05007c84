import type { NatsConnection } from "@nats-io/transport-node";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { openPatient } from "../../support/patient.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";
import { rounds } from "../support/expectations.js";
import { report } from "../support/figures.js";
import { SplitCluster, streamInfo } from "../support/split-cluster.js";

const UNAVAILABLE = { code: "ERR_SESSION_UNAVAILABLE" };

describe("three servers", () => {
  let cluster: SplitCluster;
  let bucket: string;
  let leader: number;
  let stores: SessionStore[];
  /** A store at the bucket's leader. */
  let store: SessionStore;

  beforeEach(async () => {
    stores = [];
    bucket = newBucket();
    cluster = await SplitCluster.start();
    await cluster.make(bucket, 3);
    leader = await cluster.leader(bucket);
    store = await openPatient(await cluster.connect(leader), { bucket });
    stores.push(store);
  });
  afterEach(async () => {
    cluster.mend();
    await Promise.all(stores.map((one) => one.close()));
    await cluster.stop();
  });

  /** A store with a short timeout at one of the servers. */
  async function open(nc: NatsConnection, options: SessionStoreOptions = {}): Promise<SessionStore> {
    const opened = await answered(() => SessionStore.open(nc, { bucket, timeout: 2000, ...options }));
    stores.push(opened);
    return opened;
  }

  const load = (from: SessionStore, id: string) =>
    from.load(id).then(
      (record) => (record ? "live" : "gone"),
      (error: { code?: string }) => error.code,
    );

  /** Loads until the cache answers. */
  async function warm(cached: SessionStore, id: string): Promise<void> {
    await until("an answer from the cache", async () => {
      const before = cached.cacheStats()?.hits ?? 0;
      await cached.load(id);
      return (cached.cacheStats()?.hits ?? 0) > before;
    });
  }

  describe("of which one learns of writes late", () => {
    it("let no near cache keep what was read from it after the feed reported another state", async () => {
      const follower = (leader + 1) % 3;
      const cached = await open(await cluster.connect(follower), {
        cache: { maxStale: 60_000 },
        timeout: 30_000,
      });
      const witness = await Witness.of(cached);
      const has = async (record: { revision: number } | null) =>
        (await cluster.lastAt(follower, bucket)) >= (record?.revision ?? 0);
      cluster.delayReplication(follower, 300);
      let behind = 0;
      // On a busy machine few loads fit into the time in which the follower is behind.
      for (let round = 0; round < 5 || (behind <= 100 && round < 100); round++) {
        const [ended, changed] = [`ended-${round}`, `changed-${round}`];
        await store.save(ended, { n: 1 });
        const { record } = await store.save(changed, { n: 1 });
        await until("the follower to have both", () => has(record));
        expect([await load(cached, ended), await load(cached, changed)]).toEqual(["live", "live"]);
        await store.destroy(ended);
        const { record: last } = await store.save(changed, { n: 2 }, { record: record as never });
        await witness.untilRevision(last?.revision as number);
        // The feed has reported both, and the follower has neither.
        while (!(await has(last))) {
          // The follower answers one of three reads.
          for (let n = 0; n < 10; n++) {
            behind++;
            expect(await load(cached, ended)).toBe("gone");
            expect((await cached.load(changed))?.data).toEqual({ n: 2 });
          }
        }
        expect([await load(cached, ended), await load(cached, changed)]).toEqual(["gone", "live"]);
        expect((await cached.load(changed))?.data).toEqual({ n: 2 });
      }
      await witness.stop();
      expect(behind, "loads while the follower was behind").toBeGreaterThan(100);
    });
  });

  describe("of which one is cut off from the others", () => {
    /** Cuts a server off, and waits until it answers for the bucket although it knows no leader. */
    async function cutOff(n: number): Promise<void> {
      const nc = await cluster.connect(n);
      cluster.isolate(n);
      await until(
        "a server without a leader",
        async () => {
          const answer = await streamInfo(nc, bucket);
          return answer?.state !== undefined && answer.cluster?.leader === undefined;
        },
        90_000,
      );
    }

    it("answer nothing from there that only a leader can know", async () => {
      const follower = (leader + 1) % 3;
      const nc = await cluster.connect(follower);
      const there = await open(nc);
      const strict = await open(nc, { reads: "leader" });
      const cached = await open(nc, { cache: { maxStale: 500 } });
      const { record } = await store.save("ada", { n: 1 });
      await until("the follower to have it", async () => (await load(there, "ada")) === "live");
      await warm(cached, "ada");
      await cutOff(follower);
      await store.save("grace", { n: 1 });
      await store.destroy("ada");

      const refused = {
        count: there.count(),
        "exact count": there.count({ exact: true }),
        handles: there.handles().next(),
        "load of a session that has begun elsewhere": there.load("grace"),
        "load of a missing session": there.load("nobody"),
        save: there.save("linus", {}),
        destroy: there.destroy("grace"),
        "load that reads from the leader": strict.load("ada"),
      };
      const refusals = Object.entries(refused).map(([name, operation]) =>
        expect(operation, name).rejects.toMatchObject(UNAVAILABLE),
      );
      // Without a proof of the leader's the cache answers nothing; what the replica answers is not kept either.
      const { hits } = cached.cacheStats() ?? { hits: 0 };
      const often = async () => {
        for (let n = 0; n < 10; n++) await load(cached, "ada");
      };
      await Promise.all([...refusals, often()]);
      expect(cached.cacheStats()?.hits).toBe(hits);

      cluster.mend();
      for (const each of [there, strict, cached]) {
        await until("the truth", async () => (await load(each, "ada")) === "gone", 60_000);
        expect(await answered(() => each.load("grace"))).toMatchObject({ data: { n: 1 } });
      }
      const late = await answered(() => there.save("ada", { n: 2 }, { record: record as never }));
      expect(late.outcome).toBe("gone");
    });

    it.each(["follower", "leader"])(
      'let a session live on there after its end, with `reads: "any"` until the %s has been cut off for `maxLeaderSilence`',
      async (who) => {
        const cut = who === "leader" ? leader : (leader + 1) % 3;
        const nc = await cluster.connect(cut);
        const maxLeaderSilence = rounds(3_000, 15_000);
        const any = await open(nc, { maxLeaderSilence });
        const strict = await open(nc, { reads: "leader" });
        const majority = await open(await cluster.connect(leader + 2));
        await majority.save("ada", {});
        await until("every replica to have it", async () => (await load(any, "ada")) === "live");
        cluster.isolate(cut);
        await answered(() => majority.destroy("ada"));
        const endedAt = performance.now();
        const lastLive = { any: 0, leader: 0 };
        let isRefused = false;
        while (!isRefused) {
          const at = performance.now() - endedAt;
          expect(at, "ms after the end").toBeLessThan(90_000);
          const [one, other] = await Promise.all([load(any, "ada"), load(strict, "ada")]);
          if (one === "live") lastLive.any = Math.round(at);
          if (other === "live") lastLive.leader = Math.round(at);
          isRefused = one === UNAVAILABLE.code && other === UNAVAILABLE.code;
        }
        report(`cut-off-${who}`, { lastLiveLoadMs: lastLive, maxLeaderSilence });
        // The leader that is cut off takes some seconds to notice, and is heard until then.
        if (who === "follower") expect(lastLive.any).toBeLessThan(maxLeaderSilence + 2_000);
        cluster.mend();
        await until("the truth", async () => (await load(any, "ada")) === "gone", 60_000);
      },
    );
  });
});
