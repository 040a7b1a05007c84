import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { findNatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { stopClock } from "../../support/clock.js";
import { debianServer } from "../../support/debian.js";
import { openPatient } from "../../support/patient.js";
import { type Data, handlesOf, user } from "../../support/stores.js";
import { type Connection, clients, newBucket } from "../../support/variants.js";

const old = await debianServer("trixie");
const tooOld = await debianServer("bookworm");

const warnings: string[] = [];
const onWarning = (warning: Error & { code?: string }) => {
  if (warning.code === "NATS_SESSION_OLD_BUCKET") warnings.push(warning.message);
};
beforeEach(() => void process.on("warning", onWarning));
afterEach(() => {
  process.off("warning", onWarning);
  warnings.length = 0;
});

/** Process warnings are emitted in a later turn. */
const warned = async () => {
  await new Promise((resolve) => setImmediate(resolve));
  return warnings;
};

const configOf = async (nc: NatsConnection, bucket: string) =>
  (await (await jetstreamManager(nc)).streams.info(`KV_${bucket}`)).config;

describe.runIf(old)("a bucket whose server was upgraded from 2.10", () => {
  const bucket = newBucket();
  let nc: NatsConnection;
  let before: SessionStore<Data>;

  const open = async (options: SessionStoreOptions = {}) => {
    const store = await openPatient<Data>(nc, { bucket, user, ...options });
    onTestFinished(() => store.close());
    return store;
  };

  beforeEach(async () => {
    const server = await startNatsServer({ binary: old as string });
    expect(server.version).toMatch(/^2\.10\./);
    nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    onTestFinished(async () => {
      await before.close();
      await nc.close();
      await server.stop();
    });
    before = await openPatient<Data>(nc, { bucket, user });
    await before.save("kept", { user: "ada", n: 1 });
    await before.save("short", { user: "ada" }, { ttl: 600_000 });
    await before.save("ended", { user: "ada" });
    await before.destroy("ended");
    expect(await warned()).toEqual([]);
    await server.restart({ binary: findNatsServer().path });
    expect(server.version).not.toMatch(/^2\.(\d|10)\./);
    // A request of the client's own is lost while it reconnects.
    await before.load("kept");
  });

  it("goes on serving a store that was open all the time", async () => {
    expect((await before.load("kept"))?.data).toEqual({ user: "ada", n: 1 });
    await before.save("later", { user: "ada" });
    expect(await handlesOf(before, "ada")).toHaveLength(3);
  });

  it("opens as it is, with one warning that says what `updateBucket` would bring", async () => {
    const config = await configOf(nc, bucket);
    const store = await open();
    expect(await warned()).toEqual([
      expect.stringMatching(
        new RegExp(
          `"${bucket}".*allow_msg_ttl is false.*the server removes each session.*updateBucket: true`,
        ),
      ),
    ]);
    expect(await configOf(nc, bucket)).toEqual(config);
    expect(await store.load("ended")).toBeNull();
    const record = await store.load("kept");
    expect(record?.data).toEqual({ user: "ada", n: 1 });
    expect((await store.save("kept", { user: "ada", n: 2 }, { record: record as never })).outcome).toBe(
      "saved",
    );
    await store.save("new", { user: "ada" }, { ttl: 600_000 });
    expect(await store.count({ exact: true })).toBe(3);
    // Each session still ends at its time, and may last no longer than the bucket keeps an entry.
    const { record: long } = await store.save("long", {}, { ttl: 86_400_000 * 365 });
    expect((long?.expiresAt ?? 0) - Date.now()).toBeLessThanOrEqual(config.max_age / 1e6);
    const clock = stopClock();
    clock.advance(600_001);
    expect(await store.load("new")).toBeNull();
    expect(await store.load("short")).toBeNull();
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("kept")]);
  });

  it("opens with a near cache, too", async () => {
    const store = await open({ cache: true });
    expect((await store.load("kept"))?.data).toEqual({ user: "ada", n: 1 });
    await before.destroy("kept");
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("short")]);
  });

  it("warns a store once, however often it opens again", async () => {
    const connections: NatsConnection[] = [];
    const source = async (): Promise<Connection> => {
      const own = await (clients["@nats-io/transport-node 3"] as (typeof clients)[string])({
        servers: nc.getServer(),
      });
      connections.push(own as never);
      return own;
    };
    const store = new SessionStore<Data>(source, { bucket, timeout: 30_000 });
    for (let n = 1; n <= 3; n++) {
      expect((await store.load("kept"))?.data).toMatchObject({ n: 1 });
      expect(connections).toHaveLength(n);
      await connections.at(-1)?.close();
    }
    expect(await warned()).toHaveLength(1);
    await store.close();
  });

  it("gets a TTL for each session with `updateBucket`, and keeps what it holds", async () => {
    const store = await open({ updateBucket: true });
    expect((await configOf(nc, bucket)).allow_msg_ttl).toBe(true);
    await store.save("new", { user: "ada" }, { ttl: 600_000 });
    expect(await handlesOf(store, "ada")).toHaveLength(3);
    const { streams } = await jetstreamManager(nc);
    const entry = await streams.getMessage(`KV_${bucket}`, {
      last_by_subj: `$KV.${bucket}.s.${store.handleOf("new")}`,
    });
    expect(entry?.header.get("Nats-TTL")).toBe("600s");
    // A store that was open before goes on without.
    await before.save("kept", { user: "ada", n: 3 });
    expect((await store.load("kept"))?.data.n).toBe(3);
    await open({ updateBucket: true });
    await open();
    expect(await warned()).toEqual([]);
  });
});

describe.runIf(tooOld).each(Object.entries(clients))("a server older than 2.10, over %s,", (_name, dial) => {
  it("is refused by name before anything is made there", async () => {
    await using server = await startNatsServer({ binary: tooOld as string });
    const nc = await dial({ servers: server.url });
    const message = expect.stringMatching(/nats-server 2\.9\.\d+ is too old.*2\.10/);
    const store = new SessionStore(nc, { bucket: newBucket() });
    const refusal = { name: "SessionStoreError", code: "ERR_SESSION_SERVER_VERSION", message };
    await expect(store.ready()).rejects.toMatchObject(refusal);
    await expect(store.load("id")).rejects.toMatchObject(refusal);
    await expect(store.save("id", {})).rejects.toMatchObject(refusal);
    expect((await (await jetstreamManager(nc as never)).getAccountInfo()).streams).toBe(0);
    await store.close();
    await nc.close();
  });
});
