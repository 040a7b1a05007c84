import { setTimeout as sleep } from "node:timers/promises";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { openSessionStore, type SessionStore } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answered } from "../support/answered.js";
import type { Connection } from "../support/variants.js";
import { clientsUnderFaults, expectNothingPending, LITTLE, rounds } from "./support/expectations.js";
import { median, report } from "./support/figures.js";
import { Load } from "./support/load.js";

const TIMEOUT = 2000;

describe.each(clientsUnderFaults)(
  "one server under load, with %s",
  { timeout: 180_000 },
  (client, connect) => {
    let server: NatsServer;
    let connections: Connection[];
    let stores: SessionStore[];

    beforeEach(async () => {
      server = await startNatsServer();
      connections = await Promise.all([1, 2].map(() => connect({ servers: server.url })));
      stores = await Promise.all(
        connections.map((nc) => answered(() => openSessionStore(nc, { timeout: TIMEOUT, touchAfter: 0 }))),
      );
    });
    afterEach(async () => {
      await Promise.all(stores.map((store) => store.close()));
      await Promise.all(connections.map((nc) => nc.close()));
      await server.stop();
      await expectNothingPending();
    });

    const check = async (load: Load) => {
      await load.verify(connections[0] as Connection, "sessions");
      expect(load.violations).toEqual([]);
      expect(load.codes.filter((code) => code !== "ERR_SESSION_UNAVAILABLE")).toEqual([]);
      expect(load.slowest).toBeLessThan(TIMEOUT + LITTLE);
    };

    it("killed and restarted: nothing that was acknowledged is lost, and service resumes by itself", async () => {
      const load = await Load.start(...stores);
      const afterReady: number[] = [];
      const afterKill: number[] = [];
      for (let round = 0; round < rounds(2, 5); round++) {
        await load.further(15);
        const killedAt = performance.now();
        await server.kill();
        // An outage that every operation notices, and in other rounds one that operations may outlive.
        if (round % 2 === 0) await load.failure();
        await server.restart();
        const readyAt = performance.now();
        await load.further(5);
        const first = load.writes.find((at) => at > killedAt + 1 && at > readyAt - 50) as number;
        afterReady.push(Math.max(0, Math.round(first - readyAt)));
        afterKill.push(Math.round(first - killedAt));
      }
      await check(load);
      expect(load.failures.length).toBeGreaterThan(0);
      report(`kill-${client.includes("transport") ? "v3" : "v2"}`, {
        serverBackToFirstSave: { median: median(afterReady), worst: Math.max(...afterReady) },
        killToFirstSave: { median: median(afterKill), worst: Math.max(...afterKill) },
        slowestOperation: Math.round(load.slowest),
        operations: load.counts,
        failures: load.failures.length,
      });
    });

    it("frozen for a while: no operation hangs, and service resumes by itself", async () => {
      const load = await Load.start(...stores);
      await load.further(15);
      await server.pause();
      await load.failure();
      await sleep(rounds(1000, 5000));
      await server.resume();
      await load.further(15);
      await check(load);
    });
  },
);
