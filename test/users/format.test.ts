import { readFile } from "node:fs/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers as createHeaders } from "@nats-io/nats-core";
import { afterAll, describe, expect, it } from "vitest";
import { newBucket, type Variant, variants } from "../support/variants.js";
import { until } from "../support/wait.js";
import { handlesOf, listOf, Stores } from "./support.js";

interface Golden {
  readonly key: string;
  readonly headers: Record<string, string>;
  readonly value: string;
}

describe.each(variants())("whose sessions are whose, as it is stored, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("is read as version 1 wrote it: an index entry, its session, and where it had another id", async () => {
    const text = await readFile(new URL("golden-users-1.json", import.meta.url), "utf8");
    const golden = JSON.parse(text) as Record<"entry" | "session" | "moved", Golden>;
    const bucket = newBucket();
    const store = await stores.open({ bucket, maxTtl: 36_500 * 86_400_000 });
    const nc = await stores.connect();
    for (const { key, headers: list, value } of Object.values(golden)) {
      const headers = createHeaders();
      for (const [name, value] of Object.entries(list)) headers.set(name, value);
      await jetstream(nc as never).publish(`$KV.${bucket}.${key}`, value, { headers });
    }
    expect((await listOf(store, "ada")).map(({ data }) => data)).toEqual([{ user: "ada", n: 7 }]);
    const record = await store.load("golden-owned");
    await store.save("golden-owned", { user: "ada", n: 8 }, { record: record ?? undefined });
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("golden-owned")]);
    expect(await store.load("golden-old")).toBeNull();
    expect(await store.destroyHandle(store.handleOf("golden-old"), { user: "ada" })).toBe(true);
    expect(await handlesOf(store, "ada")).toEqual([]);
  });

  it("is written in exactly these headers", async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    const nc = await stores.connect();
    const read = async (key: string) => {
      const { streams } = await jetstreamManager(nc as never);
      const found = await streams.getMessage(`KV_${bucket}`, { last_by_subj: `$KV.${bucket}.${key}` });
      const list = Object.fromEntries(
        (found?.header.keys() ?? []).map((name) => [name, found?.header.get(name)]),
      );
      return { list, text: found?.string(), revision: found?.seq };
    };
    const owner = store.ownerOf("ada");
    const { record } = await store.save("one", { user: "ada" }, { ttl: 60_000 });
    const entry = await read(`u.${owner}.${store.handleOf("one")}`);
    expect(entry.text).toBe("");
    expect(entry.list).toEqual({
      "Session-Format": "1",
      "Session-Created": expect.stringMatching(/^\d{13}$/),
      "Session-Expires": expect.stringMatching(/^\d{13}$/),
      ...(variant.ttls ? { "Nats-TTL": expect.stringMatching(/^1(1\d|20)s$/) } : {}),
    });
    const session = await read(`s.${store.handleOf("one")}`);
    expect(session.list).toMatchObject({
      "Session-Owner": owner,
      "Session-Index": `${entry.revision} ${entry.list["Session-Expires"]} ${entry.revision}`,
    });

    if (record) await store.rotate("one", "two", record.data, { record, ttl: 60_000 });
    const moved = await read(`s.${store.handleOf("one")}`);
    expect(moved.list).toMatchObject({
      "KV-Operation": "DEL",
      "Session-Write": "destroy",
      "Session-Owner": owner,
      "Session-Moved-To": store.handleOf("two"),
    });
    const second = await read(`u.${owner}.${store.handleOf("two")}`);
    expect(second.list["Session-Index"]).toBe(String(entry.revision));
    await until("the removal of the first entry", async () => {
      return (await read(`u.${owner}.${store.handleOf("one")}`)).list["KV-Operation"] === "DEL";
    });
  });
});
