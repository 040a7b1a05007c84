import type { NatsConnection } from "@nats-io/transport-node";
import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopClock } from "../../support/clock.js";
import { until } from "../../support/wait.js";
import { Nodes } from "../support/nodes.js";

describe("with three replicas", () => {
  let nodes: Nodes;
  let stores: SessionStore[];

  beforeAll(async () => {
    nodes = await Nodes.start();
    stores = await nodes.open();
  });
  afterAll(() => nodes.close());

  const store = (n: number) => stores[n % stores.length] as SessionStore;
  const names = (start: string, count: number) => Array.from({ length: count }, (_, n) => `${start}-${n}`);

  it("stores that open the bucket at the same time at different nodes agree on it", async () => {
    expect((await nodes.info())?.config.num_replicas).toBe(3);
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

  it("a store never finds again what it destroyed", async () => {
    await Promise.all(
      stores.map(async (own, n) => {
        for (const id of names(`ended-${n}`, 150)) {
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

  it("a missing session is null through every server", async () => {
    const loaded = await Promise.all(names("missing", 100).map((id, n) => store(n).load(id)));
    expect(loaded).toEqual(Array(100).fill(null));
  });

  it("5 000 loads of junk ids at once do not keep a session from being loaded and saved", async () => {
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
    answers.delete("ERR_SESSION_UNAVAILABLE");
    expect([...answers]).toEqual(["missing"]);
  });

  describe("a replica that lags behind", () => {
    /** Writes while one follower is frozen, and reads while that one wakes up and has not caught up yet. */
    async function behind<T>(
      write: (writer: SessionStore) => Promise<unknown>,
      read: (reader: SessionStore) => T,
      at = stores,
    ): Promise<T> {
      const leader = await nodes.leader();
      const [writer, reader] = [leader, (leader + 2) % 3].map((n) => at[n] as SessionStore) as [
        SessionStore,
        SessionStore,
      ];
      await nodes.server(leader + 1).pause();
      await write(writer);
      const reading = read(reader);
      await isQuiet(nodes.connections[(leader + 2) % 3] as NatsConnection);
      await nodes.server(leader + 1).resume();
      return reading;
    }
    const saveAll = (ids: string[], data: object) => (writer: SessionStore) =>
      Promise.all(ids.map((id) => writer.save(id, data as Record<string, unknown>)));
    const loadAll = (ids: string[]) => (reader: SessionStore) =>
      Promise.all(ids.map((id) => reader.load(id)));

    it("does not hide a new session", async () => {
      const ids = names("new", 100);
      expect(await behind(saveAll(ids, {}), loadAll(ids))).not.toContain(null);
    });

    it("does not let a session look expired that was renewed in time", async () => {
      const ids = names("renewed", 100);
      const clock = stopClock();
      const saved = await Promise.all(ids.map((id) => store(0).save(id, {}, { ttl: 60_000 })));
      const loaded = await behind(async (writer) => {
        const touches = saved.map(({ record }, n) =>
          writer.touch(ids[n] as string, record as never, { ttl: 600_000 }),
        );
        const outcomes = (await Promise.all(touches)).map(({ outcome }) => outcome);
        expect(new Set(outcomes)).toEqual(new Set(["touched"]));
        clock.advance(60_000);
      }, loadAll(ids));
      expect(loaded).not.toContain(null);
    });

    it("does not hide a session that began again under the id of an ended one", async () => {
      const ids = names("again", 100);
      // A tombstone is final for a store that knew the session, so the one that reads later must not have met it.
      const writer = store(await nodes.leader());
      await saveAll(ids, { n: 1 })(writer);
      await Promise.all(ids.map((id) => writer.destroy(id)));
      expect(await behind(saveAll(ids, { n: 2 }), loadAll(ids))).not.toContain(null);
    });

    it("leaves no session out of a list", async () => {
      const prefixed = await nodes.open({ prefix: "listed" });
      const count = (reader: SessionStore) => reader.count({ exact: true });
      expect(await behind(saveAll(names("listed", 300), {}), count, prefixed)).toBe(300);
    });

    it("lets no session escape from clear", async () => {
      const prefixed = await nodes.open({ prefix: "cleared" });
      const ids = names("cleared", 300);
      await behind(saveAll(ids, {}), (reader) => reader.clear(), prefixed);
      // The replica may still lag behind, and a store that ended none of them believes its answers.
      const [atLeader] = await nodes.open({ prefix: "cleared", reads: "leader" });
      const left = await loadAll(ids)(atLeader as SessionStore);
      expect(left.filter((record) => record !== null)).toEqual([]);
    });
  });
});

/** Waits until a connection sends nothing more: what it still waits for is with the frozen server. */
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
