import { expect, test } from "vitest";
import { openPatient } from "../support/patient.js";
import { connectCurrent, newBucket } from "../support/variants.js";

test("a merge of what others stored that cannot be serialised is an error with a code, and changes nothing", async () => {
  const nc = await connectCurrent();
  const bucket = newBucket();
  const other = await openPatient(nc, { bucket });
  // As a stack overflow in JSON.stringify does for very deep nesting, on some machines.
  const stringify = (data: object) => {
    if ("deep" in data) throw new RangeError("Maximum call stack size exceeded");
    return JSON.stringify(data);
  };
  const store = await openPatient(nc, { bucket, serializer: { stringify, parse: JSON.parse } });
  await other.save("id", { n: 0 });
  const [ours, theirs] = [await store.load("id"), await other.load("id")];
  await other.save("id", { n: 0, deep: [] }, { record: theirs ?? undefined });

  await expect(store.save("id", { n: 1 }, { record: ours ?? undefined })).rejects.toMatchObject({
    code: "ERR_SESSION_SERIALIZE",
  });
  expect((await other.load("id"))?.data).toEqual({ n: 0, deep: [] });
  await Promise.all([store.close(), other.close()]);
  await nc.close();
});
