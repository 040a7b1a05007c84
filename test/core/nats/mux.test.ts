import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { newBucket } from "../../support/variants.js";

const TIMEOUT = 1000;

/** Stops all that this process does, as a long garbage collection or a busy machine would. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

it("an answer that came while the process stood still counts, however late it is read", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  const bucket = newBucket();
  const patient = await SessionStore.open(nc, { bucket, timeout: 20_000 });
  await patient.save("ada", { n: 1 });
  const store = await answered(() => SessionStore.open(nc, { bucket, timeout: TIMEOUT }));

  await server.pause();
  const answers = Promise.all([store.load("ada"), store.save("grace", { n: 2 })]);
  // Requests leave at the end of a turn.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  await server.resume();
  standStill(1.5 * TIMEOUT);
  expect(await answers).toMatchObject([{ data: { n: 1 } }, { outcome: "saved" }]);

  // An answer that has not come by then is too late.
  await server.pause();
  const late = store.load("ada").catch((error) => error.code);
  await new Promise((resolve) => setImmediate(resolve));
  standStill(1.5 * TIMEOUT);
  expect(await late).toBe("ERR_SESSION_UNAVAILABLE");
  await server.resume();
  await Promise.all([store.close(), patient.close()]);
  await nc.close();
});
