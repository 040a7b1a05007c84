import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsCluster, startNatsCluster } from "nats-dev-server";
import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPatient, PATIENCE } from "../support/patient.js";
import { newBucket } from "../support/variants.js";
import { until, untilTime, withinLife } from "../support/wait.js";

describe("three replicas", () => {
  const bucket = newBucket();
  let cluster: NatsCluster;
  let connections: NatsConnection[];
  let stores: SessionStore[];

  beforeAll(async () => {
    cluster = await startNatsCluster();
    connections = await Promise.all(
      cluster.urls.map((servers) =>
        connect({ servers, ignoreClusterUpdates: true, maxReconnectAttempts: -1 }),
      ),
    );
    const options = { bucket, replicas: 3, touchAfter: 0 };
    stores = await Promise.all(connections.map((nc) => openPatient(nc, options)));
  });
  afterAll(async () => {
    await Promise.all(connections.map((nc) => nc.close()));
    await cluster.stop();
  });

  const info = async () =>
    (await jetstreamManager(connections[0] as NatsConnection, { timeout: PATIENCE })).streams.info(
      `KV_${bucket}`,
    );
  const store = (n: number) => stores[n % stores.length] as SessionStore;
  const names = (start: string, count: number) => Array.from({ length: count }, (_, n) => `${start}-${n}`);

  it("the bucket has them, and several that open it at once agree", async () => {
    expect((await info()).config.num_replicas).toBe(3);
  });

  it("a store reads what it wrote, never anything older", async () => {
    await Promise.all(
      stores.map(async (own, n) => {
        const id = `own-${n}`;
        for (let i = 0; i < 300; i++) {
          const { record } = await own.save(id, { i });
          const loaded = await own.load(id);
          expect(loaded?.data.i).toBe(i);
          expect(loaded?.revision).toBeGreaterThanOrEqual(record?.revision as number);
        }
      }),
    );
  });

  it("a store never sees again what it destroyed", async () => {
    await Promise.all(
      stores.map(async (own, n) => {
        for (let i = 0; i < 150; i++) {
          const id = `ended-${n}-${i}`;
          await own.save(id, {});
          await own.destroy(id);
          expect(await own.load(id)).toBeNull();
        }
      }),
    );
  });

  it("a session is found through another server as soon as it is stored", async () => {
    for (let i = 0; i < 200; i++) {
      await store(i).save(`found-${i}`, { i });
      expect((await store(i + 1).load(`found-${i}`))?.data).toEqual({ i });
    }
  });

  it("a session that is not there is null", async () => {
    const loaded = await Promise.all(names("nobody", 100).map((id, n) => store(n).load(id)));
    expect(loaded).toEqual(Array(100).fill(null));
  });

  it("junk ids in great number do not keep sessions from being loaded and saved", async () => {
    const [own, junk] = [store(0), store(1)];
    await own.save("in use", { n: 0 });
    const flood = names("junk", 5000).map((id) =>
      junk.load(id).then(
        (found) => found ?? "missing",
        (e) => e.code,
      ),
    );
    for (let i = 1; i <= 50; i++) {
      const record = (await junk.load("in use")) ?? undefined;
      await junk.save("in use", { n: i }, { record });
    }
    expect((await own.load("in use"))?.data).toEqual({ n: 50 });
    const answers = new Set(await Promise.all(flood));
    expect(
      [...answers].filter((answer) => answer !== "missing" && answer !== "ERR_SESSION_UNAVAILABLE"),
    ).toEqual([]);
    expect(answers).toContain("missing");
  });

  describe("a replica that lags behind", () => {
    /** Writes while one follower stands still, reads from all when it wakes up and has not caught up yet. */
    async function behind<T>(
      write: (writer: SessionStore) => Promise<unknown>,
      read: (reader: SessionStore) => T,
    ): Promise<T> {
      const leader = Number((await info()).cluster?.leader?.slice(1)) - 1;
      const follower = cluster.servers[(leader + 1) % 3];
      await follower?.pause();
      await write(store(leader));
      const reading = read(store(leader + 2));
      await isQuiet(connections[(leader + 2) % 3] as NatsConnection);
      await follower?.resume();
      return reading;
    }

    it("does not hide a new session", async () => {
      const ids = names("new", 100);
      const loaded = await behind(
        (writer) => Promise.all(ids.map((id) => writer.save(id, {}))),
        (reader) => Promise.all(ids.map((id) => reader.load(id))),
      );
      expect(loaded.filter((record) => record === null)).toEqual([]);
    });

    it("does not let a session look expired that was renewed in time", async () => {
      const ids = names("renewed", 100);
      await withinLife(1500, async (ttl) => {
        const saved = await Promise.all(ids.map((id) => store(0).save(id, {}, { ttl })));
        const ends = saved.map(({ record }) => record?.expiresAt as number);
        let inTime = false;
        const loaded = await behind(
          async (writer) => {
            const touched = await Promise.all(
              saved.map(({ record }, n) => writer.touch(ids[n] as string, record as never, { ttl: 600_000 })),
            );
            inTime = Date.now() < Math.min(...ends);
            if (inTime) expect(new Set(touched.map(({ outcome }) => outcome))).toEqual(new Set(["touched"]));
            await untilTime(Math.max(...ends));
          },
          (reader) => Promise.all(ids.map((id) => reader.load(id))),
        );
        if (inTime) expect(loaded.filter((record) => record === null)).toEqual([]);
        return inTime;
      });
    });

    it("does not hide a session that was begun again under the id of one that has ended", async () => {
      const ids = names("again", 100);
      await Promise.all(ids.map((id) => store(0).save(id, { n: 1 })));
      await Promise.all(ids.map((id) => store(0).destroy(id)));
      const loaded = await behind(
        (writer) => Promise.all(ids.map((id) => writer.save(id, { n: 2 }))),
        (reader) => Promise.all(ids.map((id) => reader.load(id))),
      );
      expect(loaded.filter((record) => record === null)).toEqual([]);
    });

    it("leaves no session out of a list", async () => {
      const shared = { bucket, prefix: "listed" };
      const prefixed = await Promise.all(connections.map((nc) => openPatient(nc, shared)));
      const twin = (each: SessionStore) => prefixed[stores.indexOf(each)] as SessionStore;
      const count = await behind(
        (writer) => Promise.all(names("listed", 300).map((id) => twin(writer).save(id, {}))),
        (reader) => twin(reader).count({ exact: true }),
      );
      expect(count).toBe(300);
    });

    it("lets no session escape from clear", async () => {
      const shared = { bucket, prefix: "cleared" };
      const prefixed = await Promise.all(connections.map((nc) => openPatient(nc, shared)));
      const twin = (each: SessionStore) => prefixed[stores.indexOf(each)] as SessionStore;
      const ids = names("cleared", 300);
      await behind(
        (writer) => Promise.all(ids.map((id) => twin(writer).save(id, {}))),
        (reader) => twin(reader).clear(),
      );
      const loaded = await Promise.all(ids.map((id) => prefixed[0]?.load(id)));
      expect(loaded.filter((record) => record !== null)).toEqual([]);
    });
  });
});

/** Waits until a connection sends nothing more: what it still waits for is with the server that stands still. */
async function isQuiet(nc: NatsConnection): Promise<void> {
  let sent = -1;
  let times = 0;
  await until("a quiet connection", async () => {
    const { outMsgs } = nc.stats();
    times = outMsgs === sent ? times + 1 : 0;
    sent = outMsgs;
    return times === 5;
  });
}
