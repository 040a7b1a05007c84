import { getEventListeners } from "node:events";
import { jetstreamManager } from "@nats-io/jetstream";
import type { SessionEnd, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { bucketsOf } from "../../support/shards.js";
import { type Data, Stores, saveBriefly } from "../../support/stores.js";
import { TwoProcesses } from "../../support/two-processes.js";
import { clientsAndShards, newBucket, type Variant, variantsAndShards } from "../../support/variants.js";
import { until } from "../../support/wait.js";

/** Watches a session, and keeps what the listener is told. */
function watch(store: SessionStore<Data>, id: string): SessionEnd[] {
  const ends: SessionEnd[] = [];
  onTestFinished(store.onEnded(store.handleOf(id), (end) => ends.push(end)));
  return ends;
}

const untilTold = (ends: SessionEnd[]) => until("the end of the session", () => ends.length > 0);

describe.each(variantsAndShards())("a listener to the end of a session over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const endings: [string, (other: SessionStore<Data>) => Promise<unknown>][] = [
    ["destroy", (other) => other.destroy("id")],
    ["destroyByHandle", (other) => other.destroyByHandle(other.handleOf("id"))],
    ["destroyByUser", (other) => other.destroyByUser("ada")],
    ["clear", (other) => other.clear()],
    ["a save whose time to live is over", async (other) => other.save("id", {}, { ttl: 0 })],
  ];
  it.each(endings)("is called once when another process ends it by %s", async (_name, end) => {
    const [here, there] = await stores.openTwo();
    for (const id of ["id", "other"]) await there.save(id, { user: id === "id" ? "ada" : "eve" });
    const [ends, again] = [watch(here, "id"), watch(here, "id")];
    const others = watch(here, "absent");
    await untilTold(others);
    await end(there);
    for (const told of [ends, again]) await untilTold(told);
    await there.save("id", {});
    await there.destroy("id");
    const later = watch(here, "id");
    await untilTold(later);
    for (const told of [ends, again, later]) expect(told).toEqual([{ reason: "destroyed" }]);
    expect(others).toEqual([{ reason: "expired" }]);
  });

  it("is told the new handle when another process rotates it, also where that was before", async () => {
    const [here, there] = await stores.openTwo();
    const { record } = await there.save("id", { user: "ada" });
    const ends = watch(here, "id");
    if (record) await there.rotate("id", "new", { user: "ada" }, { record });
    const later = watch(here, "id");
    const rotated = { reason: "rotated", movedTo: here.handleOf("new") };
    for (const told of [ends, later]) {
      await untilTold(told);
      expect(told).toEqual([rotated]);
    }
  });

  it("is told that it expired, and not before: a renewed session goes on", async () => {
    const [here, there] = await stores.openTwo({ touchAfter: 0 });
    const record = await saveBriefly(there, "short", {}, 1500);
    const renewed = await saveBriefly(there, "renewed", {}, 1500);
    const [short, long] = [watch(here, "short"), watch(here, "renewed")];
    const touched = await there.touch("renewed", renewed, { ttl: 60_000 });
    await untilTold(short);
    expect(Date.now()).toBeGreaterThanOrEqual(record.expiresAt);
    expect(short).toEqual([{ reason: "expired" }]);
    // On a machine that stood still the touch came too late.
    if (touched.outcome === "touched") expect(long).toEqual([]);
  });

  it("is not called after its signal was aborted, and leaves nothing on the signal", async () => {
    const [here, there] = await stores.openTwo();
    for (const id of ["id", "other"]) await there.save(id, {});
    const controller = new AbortController();
    const ends: SessionEnd[] = [];
    here.onEnded(here.handleOf("id"), (end) => ends.push(end), { signal: controller.signal });
    controller.abort();
    const others = watch(here, "other");
    await there.destroy("id");
    await there.destroy("other");
    await untilTold(others);
    expect(ends).toEqual([]);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  it("hears that there is no feed", async () => {
    const bucket = newBucket();
    const first = await stores.open({ bucket });
    await first.close();
    const { streams } = await jetstreamManager((await stores.connect()) as never);
    const { config } = await streams.info(`KV_${bucketsOf(bucket, variant.shards).at(-1)}`);
    await streams.update(config.name, { ...config, republish: undefined as never });
    const store = await stores.open({ bucket, republish: false });
    const errors: unknown[] = [];
    for (let n = 0; n < 2; n++) {
      const onError = (error: Error) => errors.push(error);
      store.onEnded(store.handleOf("id"), () => {}, { onError });
    }
    await until("the errors", () => errors.length === 2);
    expect(errors).toMatchObject([{ code: "ERR_SESSION_NO_FEED" }, { code: "ERR_SESSION_NO_FEED" }]);
  });
});

describe.each(clientsAndShards())("a listener to the end of a session over $name", ({ connect, shards }) => {
  it("is called for what ended during a cut, once the link is back, and for nothing else", async () => {
    const site = await TwoProcesses.start(connect, {}, onTestFinished, shards);
    const [there, here] = [await site.writer(), await site.reader()];
    const ids = Array.from({ length: 200 }, (_, n) => `id-${n}`);
    const records = await Promise.all(ids.map(async (id) => (await there.save(id, {})).record));
    const ends = ids.map((id) => watch(here, id));
    const absent = watch(here, "absent");
    await untilTold(absent);
    site.network.cut();
    for (const [n, id] of ids.entries()) {
      const record = records[n];
      if (n % 4 === 0) await there.destroy(id);
      else if (n % 4 === 1 && record) await there.rotate(id, `${id}-new`, {}, { record });
    }
    expect(ends.flat()).toEqual([]);
    site.network.mend();
    await until("all ends", () => ends.flat().length === 100);
    const last = watch(here, "id-2");
    await there.destroy("id-2");
    await untilTold(last);
    const reasons = ["destroyed", "rotated", undefined, undefined];
    ends[2]?.pop();
    expect(ends.map(([end]) => end?.reason)).toEqual(ids.map((_, n) => reasons[n % 4]));
    expect(ends.every((told) => told.length <= 1)).toBe(true);
  });
});
