import { jetstreamManager } from "@nats-io/jetstream";
import type { FeedEvent, SessionChanges } from "nats-session-store";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { warm } from "../../support/cached.js";
import { Gate } from "../../support/gate.js";
import { openPatient } from "../../support/patient.js";
import { bucketsOf, idsIn } from "../../support/shards.js";
import type { Data } from "../../support/stores.js";
import { TwoProcesses } from "../../support/two-processes.js";
import { type Connection, clientsAndShards } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

/** Everything that a reader gets, in order, as text. */
async function follow(changes: SessionChanges): Promise<string[]> {
  const events: string[] = [];
  const text = (event: FeedEvent) => ("handle" in event ? `${event.type} ${event.handle}` : event.type);
  void (async () => {
    for await (const event of changes) events.push(text(event));
  })();
  onTestFinished(async () => void (await changes.return()));
  return events;
}

describe.each(clientsAndShards())("a reader of changes over $name", ({ connect, shards }) => {
  const startSite = () => TwoProcesses.start(connect, {}, onTestFinished, shards);
  /** In one order only where they happen in one bucket. */
  const inOrder = (events: readonly string[]) => (shards === 1 ? events : [...events].sort());

  it("is told of a cut, then of what happened meanwhile, then that the feed is live again", async () => {
    const site = await startSite();
    const [writer, store] = [await site.writer(), await site.reader()];
    for (const id of ["ended", "kept"]) await writer.save(id, {});
    const changes = store.changes();
    await changes.ready;
    const events = await follow(changes);
    site.network.cut();
    await until("the cut", () => events.length === 1);
    const late = await follow(store.changes());
    await until("the cut for a late reader", () => late.length === 1);
    await writer.destroy("ended");
    await writer.save("begun", {});
    site.network.mend();
    await until("that the feed is live", () => events.includes("resumed") && late.includes("resumed"));
    const happened = [`destroyed ${store.handleOf("ended")}`, `created ${store.handleOf("begun")}`];
    for (const seen of [events, late]) {
      expect([seen[0], seen.at(-1)]).toEqual(["cut", "resumed"]);
      expect(inOrder(seen.slice(1, -1))).toEqual(inOrder(happened));
    }
  });

  it("that is behind its buffer still learns that the link is up again", async () => {
    const site = await TwoProcesses.start(connect);
    const [writer, store] = [await site.writer(), await site.reader()];
    const [slow, quick] = [store.changes({ buffer: 2 }), store.changes()];
    await Promise.all([slow.ready, quick.ready]);
    const events = await follow(quick);
    site.network.cut();
    expect(await slow.next()).toEqual({ done: false, value: { type: "cut" } });
    site.network.mend();
    await until("that the feed is live", () => events.includes("resumed"));
    for (const id of ["one", "two", "three", "four"]) await writer.save(id, {});
    await until("the changes", () => events.includes(`created ${store.handleOf("four")}`));
    const types: string[] = [];
    for await (const event of slow) {
      types.push(event.type);
      if ("handle" in event && event.handle === store.handleOf("four")) break;
    }
    expect(types).toContain("missed");
    expect(types).toContain("resumed");
  });

  it("that begins while another one, which has ended, was catching up gets nothing from before its own time", async () => {
    const site = await TwoProcesses.start(connect);
    const writer = await site.writer();
    const gate = new Gate(await site.nc(site.network.url));
    const store = await openPatient<Data>(gate.connection, { bucket: site.bucket });
    onTestFinished(() => store.close());
    await writer.save("before", {});
    const first = store.changes();
    await first.ready;
    site.network.cut();
    expect(await first.next()).toEqual({ done: false, value: { type: "cut" } });
    await writer.save("meanwhile", {});
    gate.hold((subject) => subject.includes("DIRECT.GET"));
    site.network.mend();
    await gate.holding();
    await first.return();
    const second = store.changes();
    const events = await follow(second);
    gate.release();
    await second.ready;
    for (const id of ["after", "at last"]) await writer.save(id, {});
    await until("the changes", () => events.includes(`created ${store.handleOf("at last")}`));
    expect(events).toEqual(["after", "at last"].map((id) => `created ${store.handleOf(id)}`));
  });

  it("that starts while no server is there gets what is written after one is there", async () => {
    const site = await startSite();
    const [writer, store] = [await site.writer(), await site.reader()];
    await writer.save("before", {});
    await site.server.kill();
    const changes = store.changes();
    const events = await follow(changes);
    const ended = vi.fn();
    store.onEnded(store.handleOf("before"), ended);
    await site.server.restart();
    await changes.ready;
    await writer.save("after", {});
    await writer.destroy("before");
    await until("the changes", () => events.includes(`destroyed ${store.handleOf("before")}`));
    expect(events.filter((event) => event.startsWith("created"))).toEqual([
      `created ${store.handleOf("after")}`,
    ]);
    expect(events).not.toContain("missed");
    await until("the listener", () => ended.mock.calls.length === 1);
  });

  it("goes on over a new connection where the store was given a function, and its connection was closed", async () => {
    const site = await startSite();
    const writer = await site.writer();
    const made: Connection[] = [];
    const source = async () => {
      const nc = await site.nc();
      made.push(nc);
      return nc;
    };
    const { bucket } = site;
    const store = await openPatient<Data>(source, { bucket, shards, cache: { maxStale: 1000 } });
    onTestFinished(() => store.close());
    for (const id of ["ended", "later"]) await writer.save(id, {});
    const changes = store.changes();
    await changes.ready;
    const events = await follow(changes);
    const [first, second] = [vi.fn(), vi.fn()];
    store.onEnded(store.handleOf("ended"), first);
    store.onEnded(store.handleOf("later"), second);
    await warm(store, "ended");
    const closed = made[0]?.close();
    await writer.destroy("ended");
    await closed;
    await until("that the feed is live again", () => events.includes("resumed"));
    const since = events.slice(events.indexOf("cut"));
    expect(since).toEqual(["cut", `destroyed ${store.handleOf("ended")}`, "resumed"]);
    await until("the first listener", () => first.mock.calls.length === 1);
    expect(await store.load("ended")).toBeNull();
    await writer.destroy("later");
    await until("the second listener", () => second.mock.calls.length === 1);
    expect(made).toHaveLength(2);
  });

  it("is told that changes were missed when the bucket was deleted, and follows the one that a store makes", async () => {
    const site = await startSite();
    const [writer, store] = [await site.writer(), await site.reader({ cache: { maxStale: 1000 } })];
    const [one, two, begun, last] = idsIn(store, 0, shards, 4) as [string, string, string, string];
    for (const id of [one, two]) await writer.save(id, {});
    const witness = await Witness.of(store);
    const ended = vi.fn();
    store.onEnded(store.handleOf(one), ended);
    await warm(store, one);
    const warning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warning.mockRestore());
    const { streams } = await jetstreamManager((await site.nc()) as never);
    await streams.delete(`KV_${bucketsOf(site.bucket, shards)[0]}`);
    await until("a new bucket", () =>
      writer.save(begun, {}).then(
        () => true,
        () => false,
      ),
    );
    await until("that changes were missed", () => witness.seen.some(({ type }) => type === "missed"));
    await until("the listener", () => ended.mock.calls.length === 1);
    expect(await store.load(one)).toBeNull();
    const { record } = await writer.save(last, {});
    await witness.untilRevision(record?.revision as number);
    expect(witness.seen.filter(({ type }) => type === "missed")).toHaveLength(1);
    await warm(store, last);
    await witness.stop();
  });
});
