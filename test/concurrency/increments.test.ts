import { expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { connectCurrent, newBucket } from "../support/variants.js";

const CLIENTS = 32;
const TIMES = 25;

it(`${CLIENTS} clients that each count in a key of their own, in one session, lose nothing`, async () => {
  const bucket = newBucket();
  const connections = await Promise.all(Array.from({ length: CLIENTS }, () => connectCurrent()));
  const stores = await Promise.all(
    connections.map((nc) => openPatient<Record<string, number>>(nc, { bucket, timeout: 60_000 })),
  );
  const id = "counted";
  await stores[0]?.save(id, {});
  await Promise.all(
    stores.map(async (store, n) => {
      for (let time = 0; time < TIMES; time++) {
        const record = await store.load(id);
        if (!record) throw new Error("The session is not there");
        record.data[`key ${n}`] = (record.data[`key ${n}`] ?? 0) + 1;
        expect((await store.save(id, record.data, { record })).outcome).not.toBe("gone");
      }
    }),
  );
  const expected = Object.fromEntries(stores.map((_, n) => [`key ${n}`, TIMES]));
  expect((await stores[0]?.load(id))?.data).toEqual(expected);
  await Promise.all(stores.map((store) => store.close()));
  await Promise.all(connections.map((nc) => nc.close()));
});
