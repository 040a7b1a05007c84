import { afterAll, describe, expect, it } from "vitest";
import { newBucket, type Variant, variants } from "../support/variants.js";
import { type Data, listOf, Stores } from "./support.js";

describe("`user`", () => {
  const [variant] = variants() as [Variant];
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it.each([5, null, true, {}, [], Symbol("ada"), ""])(
    "that returns %s is a TypeError naming it",
    async (name) => {
      const store = await stores.open({ user: () => name as never });
      await expect(store.save("one", {})).rejects.toThrow(TypeError);
      await expect(store.save("one", {})).rejects.toThrow(/`user`/);
      expect(await store.load("one")).toBeNull();
    },
  );

  it("that throws fails the save with what it threw, and what is stored stays", async () => {
    const store = await stores.open({
      user: (data: Data) => {
        if (data.broken) throw new RangeError("no such column");
        return data.user;
      },
    });
    const { record } = await store.save("one", { user: "ada" });
    const broken = store.save("one", { user: "ada", broken: true }, { record: record ?? undefined });
    await expect(broken).rejects.toThrow(new RangeError("no such column"));
    expect((await store.load("one"))?.data).toEqual({ user: "ada" });
  });

  it("must name whoever is asked for", async () => {
    const store = await stores.open();
    for (const junk of ["", undefined, 5, null]) {
      await expect(store.listOf(junk as never).next()).rejects.toThrow(TypeError);
      await expect(store.destroyOf(junk as never)).rejects.toThrow(TypeError);
      expect(() => store.ownerOf(junk as never)).toThrow(TypeError);
    }
  });

  it("is given the data that are stored in the end", async () => {
    const bucket = newBucket();
    const [one, other] = [await stores.open({ bucket }), await stores.open({ bucket })];
    const { record } = await one.save("one", { n: 0 });
    const loaded = await other.load("one");
    await other.save("one", { n: 0, user: "ada" }, { record: loaded ?? undefined });
    expect((await one.save("one", { n: 1 }, { record: record ?? undefined })).outcome).toBe("merged");
    expect((await listOf(one, "ada")).map(({ data }) => data)).toEqual([{ n: 1, user: "ada" }]);
  });
});
