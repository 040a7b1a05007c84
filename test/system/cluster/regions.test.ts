import { setTimeout } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { openPatient } from "../../support/patient.js";
import { idsIn } from "../../support/shards.js";
import { TwoRegions } from "../../support/two-regions.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";
import { rounds } from "../support/expectations.js";
import { report } from "../support/figures.js";

/** Between the regions, each way, in ms. */
const DISTANCE = 60;
const ROUND_TRIP = 2 * DISTANCE;

const UNAVAILABLE = "ERR_SESSION_UNAVAILABLE";

let regions: TwoRegions;
let bucket: string;
const stores: SessionStore[] = [];
/** A store where the bucket is. */
let home: SessionStore;

beforeAll(async () => {
  regions = await TwoRegions.start();
  bucket = newBucket();
  home = await openPatient(await regions.connect("home"), {
    bucket,
    placement: { cluster: "home" },
    user: (data) => data.user,
  });
  await home.save("first", {});
  await regions.mirror(bucket);
  regions.delay(DISTANCE);
}, 180_000);
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});
afterAll(async () => {
  await home?.close();
  await regions?.stop();
});

async function openAway(options: SessionStoreOptions = {}): Promise<SessionStore> {
  const nc = await regions.connect("away");
  const store = await answered(() => openPatient(nc, { bucket, user: (data) => data.user, ...options }));
  stores.push(store);
  return store;
}

const load = (from: SessionStore, id: string) =>
  from.load(id).then(
    (record) => (record ? "live" : "gone"),
    (error: { code?: string }) => error.code,
  );

/** Saves sessions at home; returns once the mirror has them. */
async function saveAtHome(ids: readonly string[]): Promise<void> {
  let last = 0;
  for (const id of ids) last = (await home.save(id, { user: "ada" })).record?.revision ?? 0;
  await regions.untilMirrored(bucket, last);
}

function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

describe("an application in a region with a mirror of the bucket", () => {
  it.each([false, { maxStale: 1000 }])("loads there, with cache: %j", async (cache) => {
    const ids = Array.from({ length: rounds(40, 400) }, (_, n) => `local-${JSON.stringify(cache)}-${n}`);
    await saveAtHome(ids);
    const away = await openAway({ cache });
    const times: number[] = [];
    for (const id of ids) {
      const start = performance.now();
      expect(await load(away, id)).toBe("live");
      times.push(performance.now() - start);
    }
    const medianMs = Math.round(10 * median(times)) / 10;
    report(`regions-load-${cache ? "cache" : "plain"}`, { medianMs, roundTripMs: ROUND_TRIP });
    // On a busy machine a load takes its time, but no round trip.
    expect(medianMs).toBeLessThan(rounds(ROUND_TRIP, 5));
  });

  it("reads what it has written, ended, touched and renamed, although the mirror learns of it later", async () => {
    const away = await openAway({ touchAfter: 0 });
    for (let n = 0; n < rounds(5, 50); n++) {
      const id = `own-${n}`;
      const { record } = await away.save(id, { user: "ada", n });
      if (!record) throw new Error("It was not saved");
      expect((await away.load(id))?.data).toEqual({ user: "ada", n });
      await away.save(id, { user: "ada", n: n + 1 }, { record });
      expect((await away.load(id))?.data).toEqual({ user: "ada", n: n + 1 });
      const loaded = await away.load(id);
      if (!loaded) throw new Error("It is not there");
      const touched = await away.touch(id, loaded);
      expect(touched.outcome).toBe("touched");
      expect((await away.load(id))?.revision).toBe(touched.record?.revision);
      await away.rotate(id, `new-${n}`, { user: "ada" }, { record: loaded });
      expect([await load(away, id), await load(away, `new-${n}`)]).toEqual(["gone", "live"]);
      await away.destroy(`new-${n}`);
      expect(await load(away, `new-${n}`)).toBe("gone");
    }
  });

  it("refuses a session that ended at home, with the near cache, from when its feed has told", async () => {
    const maxStale = 1000;
    const away = await openAway({ cache: { maxStale } });
    const witness = await Witness.of(away);
    const latest: number[] = [];
    for (let n = 0; n < rounds(3, 20); n++) {
      const id = `ended-${n}`;
      await saveAtHome([id]);
      await until("an answer from the cache", async () => {
        const hits = away.cacheStats()?.hits ?? 0;
        await away.load(id);
        return (away.cacheStats()?.hits ?? 0) > hits;
      });
      await home.destroy(id);
      const endedAt = performance.now();
      let lastLive = 0;
      while ((await load(away, id)) === "live") lastLive = performance.now() - endedAt;
      latest.push(Math.round(lastLive));
      expect(await load(away, id)).toBe("gone");
    }
    await witness.stop();
    const lastLiveLoadMs = Math.max(...latest);
    report("regions-sign-out", { lastLiveLoadMs, maxStale, roundTripMs: ROUND_TRIP });
    expect(lastLiveLoadMs).toBeLessThan(rounds(30_000, maxStale + ROUND_TRIP));
  });

  it("answers for `maxLeaderSilence` when it is cut off from home, then refuses until it is back", async () => {
    const maxLeaderSilence = 3_000;
    const plain = await openAway({ maxLeaderSilence, timeout: 1_000 });
    const cached = await openAway({ maxLeaderSilence, timeout: 1_000, cache: { maxStale: 500 } });
    const patient = await openAway({ maxLeaderSilence: 600_000, timeout: 1_000 });
    await saveAtHome(["cut-ended", "cut-kept"]);
    for (const store of [plain, cached, patient]) {
      for (const id of ["cut-ended", "cut-kept"]) await answered(() => store.load(id));
    }
    regions.cut();
    try {
      await home.destroy("cut-ended");
      const endedAt = performance.now();
      const lastLiveLoadMs = { plain: 0, cached: 0 };
      const untilRefused = async (name: keyof typeof lastLiveLoadMs, store: SessionStore) => {
        for (let answer: unknown = "live"; answer !== UNAVAILABLE; ) {
          const since = performance.now() - endedAt;
          answer = await load(store, "cut-ended");
          expect(["live", UNAVAILABLE]).toContain(answer);
          if (answer === "live") lastLiveLoadMs[name] = Math.round(since);
          await setTimeout(10);
        }
      };
      await Promise.all([untilRefused("plain", plain), untilRefused("cached", cached)]);
      expect(Math.max(...Object.values(lastLiveLoadMs))).toBeLessThan(maxLeaderSilence);
      report("regions-cut-off", { lastLiveLoadMs, maxLeaderSilence });
      // From now on they refuse, whatever the mirror answers, and nothing is taken for signed out.
      expect(await load(plain, "cut-kept")).toBe(UNAVAILABLE);
      expect(await load(cached, "cut-kept")).toBe(UNAVAILABLE);
      expect(await load(plain, "never there")).toBe(UNAVAILABLE);
      await expect(plain.save("cut-new", {})).rejects.toMatchObject({ code: UNAVAILABLE });
      // The mirror does answer.
      expect(await answered(() => patient.load("cut-kept"))).not.toBeNull();
    } finally {
      regions.mend();
    }
    for (const store of [plain, cached, patient]) {
      await until("the truth", async () => (await load(store, "cut-ended")) === "gone", 90_000);
      expect((await answered(() => store.load("cut-kept")))?.data).toEqual({ user: "ada" });
    }
  });

  it("that is cut off refuses what lies in the bucket of the other region, and goes on with its own", async () => {
    const maxLeaderSilence = 2_000;
    const shared = { bucket: newBucket(), shards: 2 };
    const nc = await regions.connect("home");
    const first = await openPatient(nc, { ...shared, placement: { cluster: "home" } });
    await first.close();
    // The second bucket moves to the other region.
    const { streams } = await jetstreamManager(nc, { timeout: 30_000 });
    const { config } = await streams.info(`KV_${shared.bucket}_1`);
    await streams.delete(config.name);
    await streams.add({ ...config, placement: { cluster: "away", tags: [] } });
    const there = await openPatient(nc, shared);
    stores.push(there);
    const [far, kept, strange] = idsIn(there, 0, 2, 3) as [string, string, string];
    const [near, unknown] = idsIn(there, 1, 2, 2) as [string, string];
    for (const id of [far, near, kept]) await there.save(id, { id });
    await regions.mirror(`${shared.bucket}_0`);

    const away = await openAway({ ...shared, maxLeaderSilence, timeout: 1_000 });
    for (const id of [far, near, kept]) expect(await answered(() => away.load(id))).not.toBeNull();
    regions.cut();
    try {
      await there.destroy(far);
      const endedAt = performance.now();
      let lastLiveLoad = 0;
      for (let answer: unknown = "live"; answer !== UNAVAILABLE; ) {
        const since = performance.now() - endedAt;
        answer = await load(away, far);
        expect(["live", UNAVAILABLE]).toContain(answer);
        if (answer === "live") lastLiveLoad = since;
        await setTimeout(10);
      }
      expect(lastLiveLoad).toBeLessThan(maxLeaderSilence);
      const record = await answered(() => away.load(near));
      expect(record?.data).toEqual({ id: near });
      const save = () => away.save(near, { id: near, again: true }, { record: record ?? undefined });
      expect((await answered(save)).outcome).toMatch(/saved|merged/);
      expect(await answered(() => away.load(unknown))).toBeNull();
      expect([await load(away, kept), await load(away, strange)]).toEqual([UNAVAILABLE, UNAVAILABLE]);
    } finally {
      regions.mend();
    }
    await until("the truth", async () => (await load(away, far)) === "gone", 90_000);
    expect((await answered(() => away.load(kept)))?.data).toEqual({ id: kept });
    expect((await answered(() => there.load(near)))?.data).toEqual({ id: near, again: true });
  });
});
