import type { SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { type Data, Stores } from "../../support/stores.js";
import { connectCurrent } from "../../support/variants.js";

describe.each([false, true])("many requests of one session at the same time, with the cache %j", (cache) => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  const begin = async (bytes: number): Promise<SessionStore<Data>> => {
    const store = await stores.open({ cache });
    await store.save("id", { text: "x".repeat(bytes) });
    await store.save("other", {});
    return store;
  };

  it.each([
    [300, 200],
    [100, 500_000],
  ])("lose nothing when %d of them change it, of %d bytes", async (requests, bytes) => {
    const store = await begin(bytes);
    const outcomes = await Promise.all(
      Array.from({ length: requests }, async (_, n) => {
        const record = await store.load("id");
        if (!record) throw new Error("not found");
        record.data[`key ${n}`] = n;
        return (await store.save("id", record.data, { record })).outcome;
      }),
    );
    expect(new Set(outcomes)).toEqual(new Set(["saved", "merged"]));
    const { data } = (await store.load("id")) ?? {};
    expect(Object.keys(data ?? {})).toHaveLength(requests + 1);
  });

  it.each([
    ["loads", (store: SessionStore<Data>) => store.load("id")],
    [
      "updates",
      (store: SessionStore<Data>, n: number) => store.update("id", (data) => ({ ...data, [n]: n })),
    ],
  ])("let loads of other sessions come between their %s, also of a large one", async (_what, act) => {
    const store = await begin(500_000);
    let [large, between] = [0, 0];
    const all = Array.from({ length: 60 }, async (_, n) => {
      await act(store, n);
      large++;
    });
    while (large < all.length) {
      const before = large;
      expect(await store.load("other")).not.toBeNull();
      if (before > 0 && large < all.length) between++;
    }
    await Promise.all(all);
    expect(between).toBeGreaterThanOrEqual(3);
  });
});
