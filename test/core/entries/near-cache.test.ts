import { beforeEach, describe, expect, it } from "vitest";
import type { ChangeFeed, FeedListener } from "../../../packages/core/src/changes/feed.js";
import type { StoredSession } from "../../../packages/core/src/context.js";
import { NearCache } from "../../../packages/core/src/entries/near-cache.js";
import { now } from "../../../packages/core/src/util/timers.js";

const LIMITS = { max: 100, maxBytes: 1_000_000, maxStale: 60_000 };

/** The feed's side of a cache: what it emits, and what it proves. */
class Feed {
  listener: FeedListener | undefined;
  first = 1;
  last = 100;

  listen(listener: FeedListener) {
    this.listener = listener;
    return { ready: Promise.resolve(), stop: () => {} };
  }

  async prove() {
    return { provenAt: now(), first: this.first, last: this.last };
  }

  emit(handle: string, revision: number): void {
    this.last = Math.max(this.last, revision);
    this.listener?.wrote?.(handle, revision);
  }
}

describe("the near cache", () => {
  let feed: Feed;
  let cache: NearCache;

  const metadata = { createdAt: 0, expiresAt: Number.POSITIVE_INFINITY, write: "create" } as const;
  const session = (revision: number, size = 10): StoredSession => {
    return { revision, value: new Uint8Array(size), metadata };
  };
  const put = (handle: string, revision: number, fromLeader: boolean, size?: number) =>
    cache.end(handle, cache.begin(handle), session(revision, size), fromLeader);
  const revisionOf = (handle: string) => cache.get(handle)?.revision;
  /** A load asks for a proof; the next one finds it. */
  const prove = async () => {
    cache.get("");
    await new Promise((resolve) => setImmediate(resolve));
  };
  const open = async (limits = LIMITS, longest?: number) => {
    feed = new Feed();
    cache = new NearCache(
      feed as unknown as ChangeFeed,
      limits,
      { shards: 1, absoluteTtl: undefined },
      longest,
    );
    await cache.ready();
    await prove();
  };
  beforeEach(() => open());

  it("keeps the leader's answer, and serves it once there is a proof", async () => {
    put("one", 50, true);
    expect(revisionOf("one")).toBe(50);
    feed.listener?.cut?.();
    expect(revisionOf("one")).toBeUndefined();
    put("one", 50, true);
    expect(revisionOf("one")).toBeUndefined();
    await prove();
    expect(revisionOf("one")).toBe(50);
  });

  it("keeps a copy's answer only where it is newer than all that was emitted before the first proof", () => {
    put("old", 100, false);
    put("new", 101, false);
    expect(revisionOf("old")).toBeUndefined();
    expect(revisionOf("new")).toBe(101);
  });

  it("does not keep a lagging copy's answer to a load that began after the change was emitted", () => {
    feed.emit("one", 102);
    put("one", 101, false);
    expect(revisionOf("one")).toBeUndefined();
    put("one", 102, false);
    expect(revisionOf("one")).toBe(102);
  });

  it("does not keep a copy's answer about a session whose change was emitted and forgotten", () => {
    feed.emit("one", 102);
    for (let n = 0; n < 20_000; n++) feed.emit(`other${n}`, 103 + n);
    put("one", 101, false);
    expect(revisionOf("one")).toBeUndefined();
    put("one", 102, true);
    expect(revisionOf("one")).toBe(102);
  });

  it("does not keep an answer when so much was emitted meanwhile that a change may have been forgotten", () => {
    const underWay = cache.begin("one");
    feed.emit("one", 102);
    for (let n = 0; n < 20_000; n++) feed.emit(`other${n}`, 103 + n);
    cache.end("one", underWay, session(101), true);
    expect(revisionOf("one")).toBeUndefined();
  });

  it("does not keep an answer to a load from before the feed was interrupted", async () => {
    const underWay = cache.begin("one");
    feed.listener?.missed(0);
    await prove();
    cache.end("one", underWay, session(101), true);
    expect(revisionOf("one")).toBeUndefined();
  });

  it("drops a session that another process writes, and not the newer one that this process wrote", () => {
    put("one", 101, true);
    feed.emit("one", 102);
    expect(revisionOf("one")).toBeUndefined();
    put("one", 103, true);
    feed.emit("one", 103);
    expect(revisionOf("one")).toBe(103);
    expect(cache.stats.drops).toBe(1);
  });

  it("never replaces a session by an older one", () => {
    put("one", 103, true);
    put("one", 102, true);
    expect(revisionOf("one")).toBe(103);
  });

  it("does not serve a session that lies before the first entry of the bucket", async () => {
    put("purged", 50, true);
    feed.first = 60;
    feed.listener?.cut?.();
    put("purged", 50, true);
    put("stays", 60, true);
    await prove();
    expect([revisionOf("purged"), revisionOf("stays")]).toEqual([undefined, 60]);
  });

  it("does not serve a session after its longest time, since a purge of it alone shows in nothing else", async () => {
    await open(LIMITS, 0);
    put("one", 101, true);
    expect(cache.stats).toMatchObject({ size: 1, drops: 0 });
    expect(revisionOf("one")).toBeUndefined();
    expect(cache.stats).toMatchObject({ size: 0, drops: 1 });
  });

  it("stays within its limits in sessions and in bytes, and counts what it holds", async () => {
    await open({ ...LIMITS, max: 3 });
    for (let n = 0; n < 10; n++) put(`id${n}`, 101 + n, true);
    expect(cache.stats.size).toBe(3);
    await open({ ...LIMITS, maxBytes: 100_000 });
    for (let n = 0; n < 10; n++) put(`id${n}`, 101 + n, true, 30_000);
    expect(cache.stats.size).toBe(3);
    expect(cache.stats.bytes).toBeGreaterThan(90_000);
    expect(cache.stats.bytes).toBeLessThanOrEqual(100_000);
    put("large", 200, true, 200_000);
    expect(revisionOf("large")).toBeUndefined();
  });

  it("keeps a copy of a value that lies in a larger buffer", () => {
    const received = new Uint8Array(100_000);
    received[10] = 1;
    const value = received.subarray(10, 20);
    cache.end("one", cache.begin("one"), { revision: 101, value, metadata }, true);
    const kept = cache.get("one")?.value;
    expect(kept).toEqual(new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    expect(kept?.buffer.byteLength).toBe(10);
  });

  it("is empty and serves nothing when the feed ends, until it listens again", async () => {
    put("one", 101, true);
    feed.listener?.ended();
    expect(cache.stats).toMatchObject({ size: 0, bytes: 0, drops: 1 });
    const { listener } = feed;
    await cache.ready();
    expect(feed.listener).not.toBe(listener);
  });
});
