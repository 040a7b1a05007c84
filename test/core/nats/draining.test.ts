import { SessionStore } from "nats-session-store";
import { expect, inject, it } from "vitest";
import { openPatient } from "../../support/patient.js";
import { clients, newBucket } from "../../support/variants.js";

/** Keeps the process from reading what the server has sent. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

it.each(Object.entries(clients))(
  "a store over %s whose connection is drained while it opens rejects as in an outage, at whatever moment",
  async (_name, connect) => {
    const servers = inject("currentServer");
    const bucket = newBucket();
    const other = await connect({ servers });
    await (await openPatient(other, { bucket })).close();
    await other.close();
    for (let turns = 0; turns < 12; turns++) {
      const nc = await connect({ servers });
      const store = new SessionStore(nc, { bucket, timeout: 30_000 });
      const outcome = store.load("id").then(
        () => "loaded",
        (error) => error.code ?? error,
      );
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      // What the server answers now is read once the connection is draining.
      standStill(20);
      const drained = (nc as never as { drain(): Promise<void> }).drain();
      expect(["loaded", "ERR_SESSION_UNAVAILABLE"]).toContain(await outcome);
      await drained;
      await store.close();
    }
  },
);
