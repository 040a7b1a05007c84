import { NatsStore } from "connect-nats";
import type { SessionData } from "express-session";
import { expect, test } from "vitest";
import { PATIENCE } from "../../support/patient.js";
import { connectCurrent, newBucket } from "../../support/variants.js";

const HOUR = 3_600_000;

// express-session writes all but the last byte of a response right after `touch`, and Node lets that go in the
// next tick: an answer that comes before it lets the whole response leave in one write.
test("a skipped touch calls back before the next tick, never synchronously", async () => {
  const nc = await connectCurrent();
  const store = await NatsStore.open(nc, { bucket: newBucket(), timeout: PATIENCE });
  await store.set("ada", { cookie: { originalMaxAge: HOUR } } as SessionData);
  const session = (await store.get("ada")) as SessionData;

  const order: string[] = [];
  await new Promise<void>((resolve) => {
    store.touch("ada", session, (error) => {
      order.push(error ? String(error) : "answered");
    });
    order.push("returned");
    process.nextTick(() => {
      order.push("next tick");
      resolve();
    });
  });
  expect(order).toEqual(["returned", "answered", "next tick"]);

  // A save under way goes first, and a changed cookie is no skipped touch.
  const saved = store.set("ada", Object.assign(session, { user: "ada" }));
  await store.touch("ada", session);
  await saved;
  session.cookie.originalMaxAge = 2 * HOUR;
  await new Promise<void>((resolve) => store.touch("ada", session, () => resolve()));
  expect((await store.get("ada"))?.cookie.originalMaxAge).toBe(2 * HOUR);

  await store.close();
  await nc.close();
});
