import { startNatsServer } from "nats-dev-server";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { BadNetwork } from "../../support/bad-network.js";
import { warm } from "../../support/cached.js";
import { idsIn } from "../../support/shards.js";
import { Stores } from "../../support/stores.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

const stores = new Stores({ connect: connectCurrent });
afterEach(() => stores.close());

describe("the feed of several buckets", () => {
  it("says once that it was cut and that it has resumed, with everything that happened meanwhile in between", async () => {
    const server = await startNatsServer();
    onTestFinished(() => server.stop());
    const network = await BadNetwork.start(server.port);
    onTestFinished(() => network.close());
    const bucket = newBucket();
    const connectTo = async (servers: string) => {
      const { connect } = await import("@nats-io/transport-node");
      const options = {
        servers,
        ignoreClusterUpdates: true,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
      };
      const nc = await connect(options);
      onTestFinished(() => nc.close());
      return nc;
    };
    const writer = await stores.openOn(await connectTo(server.url), { bucket, shards: 3 });
    const reader = await stores.openOn(await connectTo(network.url), { bucket, shards: 3 });
    const events: string[] = [];
    const changes = reader.changes();
    void (async () => {
      for await (const event of changes) events.push("handle" in event ? event.handle : event.type);
    })();
    await changes.ready;
    network.cut();
    await until("the cut", () => events.length > 0);
    const ids = Array.from({ length: 12 }, (_, n) => `id ${n}`);
    for (const id of ids) await writer.save(id, {});
    network.mend();
    await until("the end of the cut", () => events.includes("resumed"));
    const handles = ids.map((id) => reader.handleOf(id)).sort();
    expect([events[0], events.slice(1, -1).sort(), events.at(-1)]).toEqual(["cut", handles, "resumed"]);
    await changes.return();
  });

  it("tells the near cache of each change in its bucket", async () => {
    const [one, other] = await stores.openTwo({ shards: 3, cache: { maxStale: 60_000 } });
    const ids = [0, 1, 2].map((shard) => idsIn(one, shard, 3, 1)[0] as string);
    for (const id of ids) await one.save(id, { n: 0 });
    for (const id of ids) await warm(one, id);
    for (const id of ids) await other.save(id, { n: 1 });
    for (const id of ids) await until("the change", async () => (await one.load(id))?.data.n === 1);
  });

  it("goes on over one new connection when that of the store was closed for good", async () => {
    const bucket = newBucket();
    const made: Connection[] = [];
    const connect = async () => {
      const nc = await stores.connect();
      made.push(nc);
      return nc;
    };
    const store = await stores.openOn(connect, { bucket, shards: 3 });
    const other = await stores.open({ bucket, shards: 3 });
    const ids = [0, 1, 2].map((shard) => idsIn(store, shard, 3, 1)[0] as string);
    for (const id of ids) await store.save(id, { n: 0 });
    const witness = await Witness.of(store);
    await made[0]?.close();
    for (const id of ids) expect((await store.load(id))?.data).toEqual({ n: 0 });
    await Promise.all(ids.map((id) => other.save(id, { n: 1 })));
    await witness.until("a change in each bucket", (changes) => {
      return new Set(changes.map(({ handle }) => handle)).size === ids.length;
    });
    expect(made).toHaveLength(2);
    expect(witness.error).toBeUndefined();
  });
});
