import type { SessionRecord, SessionStore, SessionStoreOptions } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { type Data, handlesOf, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variantsAndShards } from "../../support/variants.js";

/** A session that its user has signed in to before, given two ids by two requests: a double click on a button. */
async function rotateTwice(
  store: SessionStore<Data>,
): Promise<{ first: SessionRecord<Data>; second: SessionRecord<Data> }> {
  const { record } = await store.save("old", { user: "ada" });
  if (!record) throw new Error("not saved");
  const first = await store.rotate("old", "first", { user: "ada", role: "admin" }, { record });
  const second = await store.rotate("old", "second", { user: "ada", role: "admin" }, { record });
  if (!first.record || !second.record) throw new Error("not rotated");
  return { first: first.record, second: second.record };
}

describe.each(variantsAndShards())("a session that is rotated twice over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());
  const open = (options: SessionStoreOptions = {}) => stores.open({ bucket: newBucket(), ...options });

  it("becomes two sessions, and to end all but one of them ends the other", async () => {
    for (const kept of ["first", "second"] as const) {
      const store = await open();
      const both = await rotateTwice(store);
      expect((await handlesOf(store, "ada")).sort()).toEqual([both.first.handle, both.second.handle].sort());
      expect(await store.destroyByUser("ada", { except: both[kept].handle })).toBe(1);
      expect(await handlesOf(store, "ada")).toEqual([both[kept].handle]);
      const other = kept === "first" ? "second" : "first";
      expect(await store.load(other)).toBeNull();
      expect((await store.load(kept))?.data).toEqual({ user: "ada", role: "admin" });
    }
  });

  it("counts as two sessions where the oldest is ended", async () => {
    const store = await open({ maxSessionsPerUser: 2 });
    await store.save("another", { user: "ada" });
    const { first, second } = await rotateTwice(store);
    expect((await handlesOf(store, "ada")).sort()).toEqual([first.handle, second.handle].sort());
  });

  it("counts as two sessions where more are refused, and stays one session then", async () => {
    const store = await open({ maxSessionsPerUser: 1, onLimit: "refuse" });
    await expect(rotateTwice(store)).rejects.toMatchObject({ code: "ERR_SESSION_LIMIT" });
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("first")]);
    await expect.poll(() => store.load("second")).toBeNull();
  });
});

it("a rotation whose new session is ended before its old one says that the session is gone", async () => {
  const { variants } = await import("../../support/variants.js");
  const stores = new Stores(variants()[0] as Variant);
  const bucket = newBucket();
  const other = await stores.open({ bucket });
  const store = await stores.open({
    bucket,
    resolve: async () => {
      // The new session is stored by now; its user ends it in a list of devices.
      expect(await other.destroy("new")).toBe(true);
      return 3;
    },
  });
  const { record } = await store.save("old", { user: "ada", n: 1 });
  if (!record) throw new Error("not saved");
  await other.save("old", { user: "ada", n: 2 }, { record: (await other.load("old")) ?? undefined });
  const rotated = await store.rotate("old", "new", { user: "ada", n: 3 }, { record });
  expect(rotated).toEqual({ outcome: "gone", record: null });
  expect(await store.load("new")).toBeNull();
  await stores.close();
});
