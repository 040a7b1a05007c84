import { once } from "node:events";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsStore as ExpressStore } from "connect-nats";
import { NatsStore as KoaStore } from "koa-session-nats";
import { startNatsServer } from "nats-dev-server";
import { openSessionStore, type SessionChange } from "nats-session-store";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectTo } from "../http/support/servers.js";
import { openPatient, PATIENCE } from "../support/patient.js";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";

describe.each([
  { name: "connect-nats", Store: ExpressStore },
  { name: "koa-session-nats", Store: KoaStore },
])("changes as events of $name", ({ Store: Adapter }) => {
  // The two differ in the data of their sessions alone, which no event holds.
  const Store = Adapter as unknown as typeof KoaStore;

  const start = async (config?: string) => {
    const server = await startNatsServer(config === undefined ? {} : { config });
    onTestFinished(() => server.stop());
    const nc = await connectTo(server, onTestFinished);
    const bucket = newBucket();
    const store = await Store.open(nc, { bucket, timeout: PATIENCE, touchAfter: 0 });
    const writer = await openPatient(await connectTo(server, onTestFinished), { bucket, touchAfter: 0 });
    /** How many subscriptions the store's connection has at the server. */
    const subscriptions = async () => {
      await nc.flush();
      const { connections } = (await (await fetch(`${server.monitorUrl}/connz?subs=1`)).json()) as {
        connections: { subscriptions_list?: string[] }[];
      };
      const lists = connections.map(({ subscriptions_list: list = [] }) => list);
      return lists.flat().filter((subject) => subject.startsWith("session-changes.")).length;
    };
    return { server, nc, bucket, store, writer, subscriptions };
  };

  it("tell what other processes do, from the first listener to the last", async () => {
    const { store, writer, subscriptions } = await start();
    expect(await subscriptions()).toBe(0);
    const seen: SessionChange[] = [];
    const listener = (change: SessionChange) => void seen.push(change);
    const types = ["created", "updated", "touched", "destroyed"] as const;
    for (const type of types) store.on(type, listener);
    await until("the subscription", async () => (await subscriptions()) === 1);
    // Where the feed begins is asked for after it has subscribed.
    await until("the feed", async () => {
      await writer.save(`before ${seen.length}`, {});
      return seen.length > 0;
    });
    const handle = writer.handleOf("one");
    const ofOne = () => seen.filter((change) => change.handle === handle).map(({ type }) => type);
    // A write that is late may be left out once it is overwritten: so each is waited for.
    let { record } = await writer.save("one", {});
    await until("created", () => ofOne().length === 1);
    ({ record } = await writer.save("one", { n: 1 }, { record: record ?? undefined }));
    await until("updated", () => ofOne().length === 2);
    if (record) await writer.touch("one", record, { ttl: 90_000_000 });
    await until("touched", () => ofOne().length === 3);
    await writer.destroy("one");
    await until("four events", () => ofOne().length === 4);
    expect(ofOne()).toEqual(types);

    for (const type of types) {
      expect(await subscriptions()).toBe(1);
      store.off(type, listener);
    }
    await until("the end of the subscription", async () => (await subscriptions()) === 0);
    const created: SessionChange[] = [];
    store.once("created", (change: SessionChange) => void created.push(change));
    const ids: string[] = [];
    await until("the event", async () => {
      const id = `again ${ids.length}`;
      ids.push(id);
      await writer.save(id, {});
      return created.length > 0;
    });
    expect(ids.map((id) => writer.handleOf(id))).toContain(created[0]?.handle);
    await until("the end of the subscription", async () => (await subscriptions()) === 0);
    expect(created).toHaveLength(1);
    await store.close();
  });

  it("end when the store is closed", async () => {
    const { store, writer, subscriptions } = await start();
    const seen: unknown[] = [];
    store.on("created", (change) => seen.push(change));
    store.on("error", (error) => seen.push(error));
    await until("the subscription", async () => (await subscriptions()) === 1);
    await store.close();
    await until("the end of the subscription", async () => (await subscriptions()) === 0);
    await writer.save("one", {});
    expect(seen).toEqual([]);
  });

  it("that cannot be told are an `error` event, or a warning where nobody listens", async () => {
    const { nc, bucket } = await start();
    const { streams } = await jetstreamManager(nc as never);
    const { config } = await streams.info(`KV_${bucket}`);
    await streams.delete(`KV_${bucket}`);
    const { republish: _republish, ...without } = config;
    await streams.add(without);
    const store = await Store.open(nc, { bucket, timeout: PATIENCE });
    store.on("error", () => {});
    const failed = once(store, "error");
    store.on("created", () => {});
    expect((await failed)[0]).toMatchObject({ code: "ERR_SESSION_NO_FEED" });

    const other = await Store.open(nc, { bucket, timeout: PATIENCE });
    const warned = once(process, "warning");
    other.on("created", () => {});
    expect((await warned)[0]).toMatchObject({ code: "ERR_SESSION_NO_FEED" });
    await Promise.all([store.close(), other.close()]);
  });

  it("begin when a store that could not be opened can be, and tell that some were missed", async () => {
    const { server, nc, writer, bucket } = await start();
    await server.kill();
    const store = new Store(() => openSessionStore(nc, { bucket, timeout: 1000 }));
    const events: string[] = [];
    for (const type of ["missed", "created"] as const) store.on(type, () => events.push(type));
    store.on("error", (error: Error & { code?: string }) => events.push(error.code ?? String(error)));
    await until("the error", () => events.length > 0);
    await server.restart();
    await until("that some were missed", () => events.includes("missed"));
    await writer.save("one", {});
    await until("the event", () => events.includes("created"));
    expect(events).toEqual(["ERR_SESSION_UNAVAILABLE", "missed", "created"]);
    await store.close();
  });

  it("may lose their last listener before the store is open", async () => {
    const { nc } = await start();
    const opening = openPatient(nc, { bucket: newBucket(), createBucket: false });
    opening.catch(() => {});
    const store = new Store(opening);
    const listener = () => {};
    store.on("error", () => {});
    store.on("created", listener);
    store.off("created", listener);
    await expect(store.sessions.count()).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
    await store.close();
  });
});
