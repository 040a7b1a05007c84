import { once } from "node:events";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsStore as ExpressStore } from "connect-nats";
import { NatsStore as KoaStore } from "koa-session-nats";
import { startNatsServer } from "nats-dev-server";
import { openSessionStore, type SessionChange } from "nats-session-store";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectTo } from "../http/support/servers.js";
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
    const store = await Store.open(nc, { bucket, touchAfter: 0 });
    const writer = await openSessionStore(await connectTo(server, onTestFinished), { bucket, touchAfter: 0 });
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
    const seen: string[] = [];
    const listener = (change: SessionChange) => void seen.push(`${change.type} ${change.handle}`);
    const types = ["created", "updated", "touched", "destroyed"] as const;
    for (const type of types) store.on(type, listener);
    await until("the subscription", async () => (await subscriptions()) === 1);
    let { record } = await writer.save("one", {});
    ({ record } = await writer.save("one", { n: 1 }, { record: record ?? undefined }));
    if (record) await writer.touch("one", record, { ttl: 90_000_000 });
    await writer.destroy("one");
    await until("four events", () => seen.length === 4);
    expect(seen).toEqual(types.map((type) => `${type} ${writer.handleOf("one")}`));

    for (const type of types) {
      expect(await subscriptions()).toBe(1);
      store.off(type, listener);
    }
    await until("the end of the subscription", async () => (await subscriptions()) === 0);
    const created = once(store, "created");
    await until("the subscription", async () => (await subscriptions()) === 1);
    await writer.save("two", {});
    expect((await created)[0]).toMatchObject({ handle: writer.handleOf("two") });
    await until("the end of the subscription", async () => (await subscriptions()) === 0);
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
    const store = await Store.open(nc, { bucket });
    store.on("error", () => {});
    const failed = once(store, "error");
    store.on("created", () => {});
    expect((await failed)[0]).toMatchObject({ code: "ERR_SESSION_NO_FEED" });

    const other = await Store.open(nc, { bucket });
    const warned = once(process, "warning");
    other.on("created", () => {});
    expect((await warned)[0]).toMatchObject({ code: "ERR_SESSION_NO_FEED" });
    await Promise.all([store.close(), other.close()]);
  });

  it("begin when a store that could not be opened can be, and tell that some were missed", async () => {
    const { server, nc, writer, bucket } = await start();
    await server.kill();
    const store = new Store(() => openSessionStore(nc, { bucket, timeout: 300 }));
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
    const opening = openSessionStore(nc, { bucket: newBucket(), createBucket: false });
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
