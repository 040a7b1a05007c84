import type { SessionRecord } from "nats-session-store";
import { expect, test } from "vitest";
import { openPatient } from "../support/patient.js";
import { connectCurrent, newBucket } from "../support/variants.js";

const HOUR = 3_600_000;

test("of a page's requests that all touch a session, one stores it and all know its life is renewed", async () => {
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
