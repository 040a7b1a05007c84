import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsCluster, startNatsCluster } from "nats-dev-server";
import { openSessionStore, type SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { type Data, handlesOf, user } from "../users/support.js";
import { Witness } from "./support.js";

describe("users and changes in a cluster of three", { timeout: 180_000 }, () => {
  const bucket = newBucket();
  let cluster: NatsCluster;
  let connections: NatsConnection[];
  let stores: SessionStore<Data>[];

  beforeAll(async () => {
    cluster = await startNatsCluster({ timeout: 90_000 });
    connections = await Promise.all(
      cluster.urls.map((servers) =>
        connect({ servers, ignoreClusterUpdates: true, maxReconnectAttempts: -1 }),
      ),
    );
    const options = { bucket, replicas: 3, touchAfter: 0, timeout: 20_000, user };
    stores = await Promise.all(connections.map((nc) => openSessionStore<Data>(nc, options)));
  }, 180_000);
  afterAll(async () => {
    await Promise.all(connections?.map((nc) => nc.close()) ?? []);
    await cluster?.stop();
  });

  const store = (n: number) => stores[n % stores.length] as SessionStore<Data>;
  const leader = async () => {
    const { streams } = await jetstreamManager(connections[0] as NatsConnection);
    return (await streams.info(`KV_${bucket}`)).cluster?.leader;
  };
  const moveLeader = async () => {
    const seen = new Set<string>();
    let askedAt = Number.NEGATIVE_INFINITY;
    await until(
      "another leader",
      async () => {
        const now = await leader().catch(() => undefined);
        if (now) seen.add(now);
        // It may refuse to go, or be elected again.
        if (now && seen.size === 1 && performance.now() > askedAt + 3000) {
          askedAt = performance.now();
          connections[0]?.publish(`$JS.API.STREAM.LEADER.STEPDOWN.KV_${bucket}`);
        }
        return seen.size > 1;
      },
      60_000,
    );
  };

  it("a session is listed through each server as soon as it is saved, and never after it is ended", async () => {
    for (let i = 0; i < 20; i++) {
      const id = `session-${i}`;
      await store(i).save(id, { user: "ada" });
      expect(await handlesOf(store(i + 1), "ada")).toContain(store(i).handleOf(id));
      expect(await store(i + 1).destroyHandle(store(i).handleOf(id), { user: "ada" })).toBe(true);
      // Of those that other processes have ended, a replica that lags behind may still tell.
      expect(await handlesOf(store(i + 1), "ada")).not.toContain(store(i).handleOf(id));
    }
  });

  it("one that cannot be read does not hide the others", async () => {
    await store(0).save("one", { user: "bob" });
    await store(0).save("broken", { user: "bob" });
    const kv = await new Kvm(connections[0] as NatsConnection).open(bucket);
    await kv.put(`s.${store(0).handleOf("broken")}`, "no session");
    for (const one of stores) {
      // A replica that lags behind may still have what could be read.
      await until("the one that can be read", async () => (await handlesOf(one, "bob")).length === 1);
      expect(await handlesOf(one, "bob")).toEqual([one.handleOf("one")]);
    }
    expect(await store(1).destroyOf("bob")).toBe(1);
  });

  it.each(["end-oldest", "refuse"] as const)("with %s many sign-ins at once leave three", async (onLimit) => {
    const limited = await Promise.all(
      connections.map((nc) =>
        openSessionStore<Data>(nc, { bucket, timeout: 60_000, user, maxSessionsPerUser: 3, onLimit }),
      ),
    );
    const name = `user of ${onLimit}`;
    const answers = await Promise.allSettled(
      limited.flatMap((one, n) =>
        Array.from({ length: 4 }, (_, i) => one.save(`${name} ${n}-${i}`, { user: name })),
      ),
    );
    const saved = answers.filter(({ status }) => status === "fulfilled");
    // A replica that lags behind may still have what was ended.
    await until("no more than three", async () => (await handlesOf(store(0), name)).length <= 3);
    expect(await handlesOf(store(0), name)).toHaveLength(onLimit === "refuse" ? saved.length : 3);
  });

  it("changes are complete, in order and each once while the bucket's leader moves", async () => {
    const witnesses = await Promise.all(stores.map((one) => Witness.of(one)));
    const revisions: number[] = [];
    let isDone = false;
    const writing = Promise.all(
      stores.map(async (one, n) => {
        for (let i = 0; !isDone; i++) {
          // A session of its own each: nothing is overwritten, so nothing may be left out.
          const { record } = await one.save(`moving ${n}-${i}`, {});
          if (record) revisions.push(record.revision);
        }
      }),
    );
    for (let n = 1; n <= 2; n++) {
      await moveLeader();
      await until("more writes", () => revisions.length >= 100 * n, 60_000);
    }
    isDone = true;
    await writing;
    revisions.sort((a, b) => a - b);
    for (const witness of witnesses) {
      await witness.untilRevision(revisions.at(-1) as number);
      expect(witness.changes.map(({ revision }) => revision)).toEqual(revisions);
      expect(witness.seen).toHaveLength(revisions.length);
      await witness.stop();
    }
  });
});
