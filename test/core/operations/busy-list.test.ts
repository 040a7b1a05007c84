import { afterAll, expect, it } from "vitest";
import { Stores } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";

const stores = new Stores({ connect: connectCurrent });
afterAll(() => stores.close());

it("a list of a process that is too busy to read its sessions rejects, and leaves none of them out", async () => {
  const bucket = newBucket();
  const patient = await stores.open({ bucket });
  const text = "x".repeat(40_000);
  for (let n = 0; n < 20; n++) await patient.save(`id ${n}`, { text });
  const store = await stores.open({ bucket, timeout: 1000 });
  let isBusy = true;
  const work = () => {
    for (const end = performance.now() + 100; performance.now() < end; );
    if (isBusy) setImmediate(work);
  };
  setImmediate(work);
  const list = async () => {
    for await (const _ of store.all());
  };
  await expect(list()).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
  isBusy = false;
});
