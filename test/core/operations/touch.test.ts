import { type SessionRecord, SessionStore } from "nats-session-store";
import { expect, test } from "vitest";
import { handleOf } from "../../../packages/core/dist/format/keys.js";
import { touchSession } from "../../../packages/core/dist/operations/touch.js";
import { stopClock } from "../../support/clock.js";
import { Gate } from "../../support/gate.js";
import { openPatient, PATIENCE } from "../../support/patient.js";
import { connectCurrent, newBucket } from "../../support/variants.js";

const HOUR = 3_600_000;

test("when ten requests touch a session at the same time, one write renews it for all of them", async () => {
  const nc = await connectCurrent();
  const store = await openPatient(nc, { bucket: newBucket(), ttl: HOUR });
  const { record } = await store.save("id", { n: 1 });
  const loaded = await Promise.all(Array.from({ length: 10 }, () => store.load("id")));

  const before = nc.stats().outMsgs;
  const results = await Promise.all(
    loaded.map((one) => store.touch("id", one as SessionRecord, { ttl: 2 * HOUR })),
  );
  expect(nc.stats().outMsgs).toBe(before + 1);
  expect(results.map(({ outcome }) => outcome).sort()).toEqual([...Array(9).fill("skipped"), "touched"]);
  expect((await store.load("id"))?.expiresAt).toBeGreaterThan(record?.expiresAt ?? 0);

  const again = await Promise.all(Array.from({ length: 3 }, () => store.load("id")));
  await store.destroy("id");
  const late = await Promise.all(
    again.map((one) => store.touch("id", one as SessionRecord, { ttl: 3 * HOUR })),
  );
  expect(late).toEqual(Array(3).fill({ outcome: "gone", record: null }));
  await store.close();
  await nc.close();
});

test("a touch that waits for another one renews the session itself where the other one ends without an answer", async () => {
  const nc = await connectCurrent();
  const gate = new Gate(nc);
  const store = await openPatient(gate.connection, { bucket: newBucket(), ttl: HOUR });
  const { record } = await store.save("id", { n: 1 });
  const { context } = SessionStore.partsOf(store as SessionStore);
  const touch = (timeout: number) => {
    const deadline = performance.now() + timeout;
    return touchSession(context, handleOf("id"), record as SessionRecord, { ttl: 2 * HOUR }, deadline);
  };
  gate.hold((subject) => subject.startsWith("$KV."));
  const first = touch(50);
  await gate.holding();
  const others = [touch(PATIENCE), touch(PATIENCE)];
  await expect(first).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
  gate.drop();
  const outcomes = (await Promise.all(others)).map(({ outcome }) => outcome);
  expect(outcomes.sort()).toEqual(["skipped", "touched"]);
  expect((await store.load("id"))?.expiresAt).toBeGreaterThan(Date.now() + 1.5 * HOUR);
  await store.close();
  await nc.close();
});

test("a touch that meets a newer revision does not make data of before look changed to the next save", async () => {
  const nc = await connectCurrent();
  const bucket = newBucket();
  const [store, other] = await Promise.all(
    [1, 2].map(() => openPatient<Record<string, number>>(nc, { bucket, touchAfter: 0 })),
  );
  if (!store || !other) throw new Error("not opened");
  const { record } = await store.save("id", { a: 1 });
  const theirs = await other.save("id", { a: 1, b: 1 }, { record: (await other.load("id")) ?? undefined });
  const merged = await store.save("id", { a: 2 }, { record: record ?? undefined });
  expect(merged.record?.data).toEqual({ a: 2, b: 1 });
  expect(theirs.outcome).toBe("saved");
  const current = (await other.load("id")) ?? undefined;
  await other.save("id", { a: 2, b: 2 }, { record: current });
  const touched = await store.touch("id", merged.record as never, { ttl: 2 * 86_400_000 });
  const data = merged.record?.data as Record<string, number>;
  await store.save("id", { ...data, c: 1 }, { record: touched.record as never });
  expect((await store.load("id"))?.data).toEqual({ a: 2, b: 2, c: 1 });
  await Promise.all([store.close(), other.close()]);
  await nc.close();
});

test.each([false, true])(
  "a record that is behind a write of another request goes on renewing the session, with the cache %j",
  async (cache) => {
    const nc = await connectCurrent();
    const bucket = newBucket();
    const [store, other] = await Promise.all([0, 1].map(() => openPatient(nc, { bucket, cache })));
    if (!store || !other) throw new Error("not opened");
    const clock = stopClock();
    await store.save("id", { n: 1 }, { ttl: HOUR });
    const socket = (await store.load("id")) as SessionRecord;
    await other.update("id", (data) => ({ ...data, n: 2 }));
    for (let beat = 1; beat <= 12; beat++) {
      clock.advance(HOUR / 4);
      // The record stays the same: a socket holds it for its whole life.
      expect((await store.touch("id", socket, { ttl: HOUR })).outcome).not.toBe("gone");
    }
    const loaded = await other.load("id");
    expect(loaded?.data).toEqual({ n: 2 });
    expect(loaded?.expiresAt).toBeGreaterThan(Date.now() + HOUR / 2);
    await Promise.all([store.close(), other.close()]);
    await nc.close();
  },
);
