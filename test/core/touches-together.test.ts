import { openSessionStore, type SessionRecord } from "nats-session-store";
import { expect, test } from "vitest";
import { connectCurrent, newBucket } from "../support/variants.js";
import { untilTime } from "../support/wait.js";

test("of a page's requests that all touch a session, one stores it and all know its life is renewed", async () => {
  const nc = await connectCurrent();
  const store = await openSessionStore(nc, { bucket: newBucket(), touchAfter: 50, timeout: 10_000 });
  const { record } = await store.save("id", { n: 1 });
  await untilTime(Date.now() + 60);
  const loaded = await Promise.all(Array.from({ length: 10 }, () => store.load("id")));

  const before = nc.stats().outMsgs;
  const results = await Promise.all(loaded.map((one) => store.touch("id", one as SessionRecord)));
  expect(nc.stats().outMsgs).toBe(before + 1);
  expect(results.map(({ outcome }) => outcome).sort()).toEqual([...Array(9).fill("skipped"), "touched"]);
  expect((await store.load("id"))?.expiresAt).toBeGreaterThan(record?.expiresAt ?? 0);

  await untilTime(Date.now() + 60);
  const again = await Promise.all(Array.from({ length: 3 }, () => store.load("id")));
  await store.destroy("id");
  const late = await Promise.all(again.map((one) => store.touch("id", one as SessionRecord)));
  expect(late).toEqual(Array(3).fill({ outcome: "gone", record: null }));
  await store.close();
  await nc.close();
});
