import type { SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { statsOf, warm } from "../../support/cached.js";
import { heldBytes } from "../../support/memory.js";
import { type Data, Stores } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";

const MB = 2 ** 20;

describe("the memory of a near cache", { timeout: 180_000 }, () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  const saveAll = async (store: SessionStore<Data>, count: number, text: string) => {
    const ids = Array.from({ length: count }, (_, n) => `id-${n}`);
    for (let n = 0; n < count; n += 50) {
      await Promise.all(ids.slice(n, n + 50).map((id) => store.save(id, { user: `user ${id}`, text })));
    }
    return ids;
  };

  const loadAll = async (store: SessionStore<Data>, ids: readonly string[]) => {
    for (let n = 0; n < ids.length; n += 50) {
      await Promise.all(ids.slice(n, n + 50).map((id) => store.load(id)));
    }
  };

  it.each([
    ["large", 400, 100_000],
    ["small", 10_000, 10],
  ])("stays within `maxBytes` for %s sessions, however many are loaded", async (_name, count, size) => {
    const bucket = newBucket();
    const writer = await stores.open({ bucket });
    const ids = await saveAll(writer, count, "x".repeat(size));
    await writer.close();
    const maxBytes = 4 * MB;
    const cached = await stores.open({ bucket, cache: { maxBytes, maxStale: 60_000 } });
    await warm(cached, "id-0");
    // Other parts of the store and of the client fill here too.
    const plain = await stores.open({ bucket });
    await loadAll(plain, ids);
    const before = await heldBytes();
    await loadAll(cached, ids);
    const held = (await heldBytes()) - before;
    const { bytes, size: sessions } = statsOf(cached);
    expect(bytes).toBeLessThanOrEqual(maxBytes);
    expect(bytes).toBeGreaterThan(maxBytes * 0.9);
    expect(held).toBeLessThan(1.5 * maxBytes);
    console.log(`${sessions} sessions of ${size} characters: ${bytes} bytes counted, ${held} held`);
    await loadAll(cached, ids.slice(-20));
    expect(statsOf(cached).hits).toBeGreaterThanOrEqual(20);
    await Promise.all([cached.close(), plain.close()]);
  });

  it("is given back when the store is closed", async () => {
    const bucket = newBucket();
    const cached = await stores.open({ bucket, cache: { maxBytes: 64 * MB } });
    await warm(cached, (await saveAll(cached, 1, ""))[0] as string);
    const before = await heldBytes();
    await saveAll(cached, 300, "x".repeat(100_000));
    const full = (await heldBytes()) - before;
    expect(full).toBeGreaterThan(20 * MB);
    await cached.close();
    expect((await heldBytes()) - before).toBeLessThan(full / 5);
  });
});
