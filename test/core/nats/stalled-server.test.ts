import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { describe, expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { Gate } from "../../support/gate.js";

const TIMEOUT = 1000;

/** Each is over after more than a timeout, and leaves the server as it was. */
const troubles: Record<string, (server: NatsServer, gate: Gate) => Promise<void>> = {
  "that stands still": async (server) => {
    await server.pause();
    await sleep(2 * TIMEOUT);
    await server.resume();
  },
  "that stands still again and again": async (server) => {
    for (let time = 0; time < 2 * TIMEOUT; time += 150) {
      await server.pause();
      await sleep(130);
      await server.resume();
      await sleep(20);
    }
  },
  "that is killed and started again": async (server) => {
    await server.kill();
    await sleep(TIMEOUT);
    await server.restart();
    await sleep(TIMEOUT);
  },
  "whose answer to a write is late": async (_server, gate) => {
    gate.hold((subject) => subject.startsWith("$KV.sessions.s."));
    await sleep(2 * TIMEOUT);
    gate.release();
  },
};

describe("a server", () => {
  it.each(Object.entries(troubles))("%s is not taken for one whose disk is full", async (_what, trouble) => {
    await using server = await startNatsServer();
    const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const gate = new Gate(nc);
    const store = await answered(() => SessionStore.open(gate.connection, { timeout: TIMEOUT }));
    await answered(() => store.save("id", { n: 0 }));
    const codes = new Set<unknown>();
    let isOver = false;
    const writers = Array.from({ length: 4 }, async (_, client) => {
      while (!isOver) {
        const writing = client % 2 === 0 ? store.save(`id ${client}`, {}) : store.destroy("id");
        await writing.catch((error) => codes.add(error.code));
        await sleep(5);
      }
    });
    await trouble(server, gate);
    isOver = true;
    await Promise.all(writers);
    expect([...codes]).not.toContain("ERR_SESSION_DISK_FULL");
    expect((await answered(() => store.save("id", { n: 1 }))).outcome).toBe("saved");
    await store.close();
    await nc.close();
  });
});
