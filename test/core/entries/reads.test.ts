import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { openPatient } from "../../support/patient.js";
import { until } from "../../support/wait.js";

type Data = Record<string, unknown>;

async function hold(store: SessionStore, id: string) {
  const record = await store.load(id);
  if (!record) throw new Error("There is no such session");
  return record;
}

describe("loads of one session at the same time", () => {
  let nc: NatsConnection;
  let server: NatsServer;
  let store: SessionStore;

  beforeAll(async () => {
    server = await startNatsServer();
    nc = await connect({ servers: server.url, maxReconnectAttempts: -1 });
    store = await openPatient<Data>(nc);
  });
  afterAll(async () => {
    await store.close();
    await nc.close();
    await server.stop();
  });

  it("share one request, and each gets data of its own", async () => {
    await store.save("id", { list: [] });
    const sent = nc.stats().outMsgs;
    const start = performance.now();
    const records = await Promise.all(Array.from({ length: 100 }, () => hold(store, "id")));
    // A load more than 10 ms after another one sends a request of its own, as on a busy machine.
    const most = 1 + Math.floor((performance.now() - start) / 10);
    expect(nc.stats().outMsgs - sent).toBeLessThanOrEqual(Math.min(most, 99));
    for (const [n, { data }] of records.entries()) (data.list as number[]).push(n);
    expect(records.map(({ data }) => data.list)).toEqual(records.map((_, n) => [n]));
  });

  it("that begin after a write of this process do not share an answer from before it", async () => {
    for (let n = 0; n < 200; n++) {
      const before = store.load("id");
      await store.save("id", { n });
      const after = store.load("id");
      expect((await after)?.data).toEqual({ n });
      await before;
    }
  });

  it("all reject with the error of their request, and the next load asks again", async () => {
    const own = await answered(() => SessionStore.open<Data>(nc, { timeout: 300 }));
    await server.pause();
    const results = await Promise.allSettled([own.load("id"), own.load("id")]);
    await server.resume();
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await until("an answer", async () => (await own.load("id").catch(() => null)) !== null);
    await own.close();
  });
});
