import { getEventListeners } from "node:events";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { ChangeFeed, FeedListener } from "../../../packages/core/src/changes/feed.js";
import { SessionWatch } from "../../../packages/core/src/changes/watch.js";
import { SessionStoreError, unavailable } from "../../../packages/core/src/errors.js";
import { handleOf } from "../../../packages/core/src/format/keys.js";
import type { SessionEnd } from "../../../packages/core/src/types.js";

/** The feed's side of the watch. */
class Feed {
  readonly listeners: FeedListener[] = [];
  stops = 0;
  ready = Promise.resolve();

  listen(listener: FeedListener) {
    this.listeners.push(listener);
    return { ready: this.ready, stop: () => void this.stops++ };
  }

  get listener(): FeedListener {
    const listener = this.listeners.at(-1);
    if (!listener) throw new Error("Nothing listens");
    return listener;
  }

  /** As the feed does it: only to those that follow the session. */
  emit(type: "updated" | "destroyed" | "expired", handle: string, movedTo?: string): void {
    if (!this.listener.follows?.(handle)) return;
    this.listener.changed?.({ type, handle, userHash: undefined, movedTo, revision: 1, at: 0 });
  }
}

const LIVE = { expiresAt: Number.MAX_SAFE_INTEGER };
const DESTROYED: SessionEnd = { reason: "destroyed" };
const [one, two] = [handleOf("one"), handleOf("two")];

describe("onEnded", () => {
  let feed: Feed;
  let watch: SessionWatch;
  let stored: Map<string, SessionEnd | { expiresAt: number } | Error>;
  let lookUps: string[];

  beforeEach(() => {
    feed = new Feed();
    lookUps = [];
    stored = new Map([one, two].map((handle) => [handle, LIVE]));
    const lookUp = async (handle: string) => {
      lookUps.push(handle);
      const found = stored.get(handle) ?? DESTROYED;
      if (found instanceof Error) throw found;
      return found;
    };
    watch = new SessionWatch(feed as unknown as ChangeFeed, lookUp, 1000);
    return () => watch.close();
  });

  it("calls each listener of a session once when the session is destroyed, expires or is rotated", () => {
    const [first, second, other] = [vi.fn(), vi.fn(), vi.fn()];
    watch.onEnded(one, first);
    watch.onEnded(one, second);
    watch.onEnded(two, other);
    feed.emit("updated", one);
    expect(first).not.toHaveBeenCalled();
    for (let n = 0; n < 2; n++) feed.emit("destroyed", one);
    for (const listener of [first, second]) expect(listener.mock.calls).toEqual([[DESTROYED]]);
    expect(other).not.toHaveBeenCalled();
    feed.emit("destroyed", two, one);
    expect(other.mock.calls).toEqual([[{ reason: "rotated", movedTo: one }]]);
    watch.onEnded(one, first);
    feed.emit("expired", one);
    expect(first).toHaveBeenLastCalledWith({ reason: "expired" });
  });

  it("calls the listener where the session had ended before it was watched", async () => {
    stored.set(one, { reason: "rotated", movedTo: two });
    const listener = vi.fn();
    watch.onEnded(one, listener);
    await expect.poll(() => listener.mock.calls).toEqual([[{ reason: "rotated", movedTo: two }]]);
  });

  it("looks up what happened during a cut, and after `missed`", async () => {
    const [first, second] = [vi.fn(), vi.fn()];
    watch.onEnded(one, first);
    watch.onEnded(two, second);
    await expect.poll(() => lookUps.length).toBe(2);
    feed.listener.cut?.();
    stored.set(one, DESTROYED);
    feed.listener.resumed?.();
    await expect.poll(() => first.mock.calls).toEqual([[DESTROYED]]);
    stored.set(two, DESTROYED);
    feed.listener.missed(0);
    await expect.poll(() => second.mock.calls).toEqual([[DESTROYED]]);
  });

  it("looks up again where there was no answer, and not during a cut", async () => {
    stored.set(one, unavailable("the server is away"));
    const listener = vi.fn();
    watch.onEnded(one, listener);
    await expect.poll(() => lookUps.length).toBeGreaterThan(1);
    feed.listener.cut?.();
    stored.set(one, DESTROYED);
    expect(listener).not.toHaveBeenCalled();
    feed.listener.resumed?.();
    await expect.poll(() => listener.mock.calls).toEqual([[DESTROYED]]);
  });

  it("takes a session that cannot be read for live", async () => {
    stored.set(one, new SessionStoreError("ERR_SESSION_KEY_UNKNOWN", "sealed"));
    const listener = vi.fn();
    watch.onEnded(one, listener);
    await expect.poll(() => lookUps.length).toBe(1);
    feed.emit("destroyed", one);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it("looks up a session when its time to live is over, also where the feed does not report it", async () => {
    stored.set(one, { expiresAt: Date.now() + 50 });
    const listener = vi.fn();
    watch.onEnded(one, listener);
    await expect.poll(() => lookUps.length).toBe(1);
    stored.set(one, { reason: "expired" });
    await expect.poll(() => listener.mock.calls, { timeout: 10_000 }).toEqual([[{ reason: "expired" }]]);
  });

  it("stops by its function and by a signal, leaves nothing on the signal, and then lets go of the feed", () => {
    const { signal, ...controller } = stoppable();
    const [first, second, third] = [vi.fn(), vi.fn(), vi.fn()];
    const stop = watch.onEnded(one, first);
    watch.onEnded(one, second, { signal });
    watch.onEnded(two, third, { signal });
    stop();
    stop();
    feed.emit("destroyed", two);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    expect(feed.stops).toBe(0);
    controller.abort();
    expect(feed.stops).toBe(1);
    expect(feed.listener.follows?.(one)).toBe(false);
    expect([first, second, third].map(({ mock }) => mock.calls.length)).toEqual([0, 0, 1]);
    watch.onEnded(one, first, { signal });
    expect(feed.listeners).toHaveLength(1);
  });

  it("does not call a listener that another one of the session has stopped", () => {
    const stops: (() => void)[] = [];
    const listeners = [vi.fn(() => stops[1]?.()), vi.fn()];
    for (const listener of listeners) stops.push(watch.onEnded(one, listener));
    feed.emit("destroyed", one);
    expect(listeners.map(({ mock }) => mock.calls.length)).toEqual([1, 0]);
  });

  it("reports once where there is no feed: to `onError`, else as a process warning", async () => {
    const error = new SessionStoreError("ERR_SESSION_NO_FEED", "no feed");
    const [listener, onError] = [vi.fn(), vi.fn()];
    const warning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    watch.onEnded(one, listener, { onError });
    feed.listener.ended(error);
    expect(onError.mock.calls).toEqual([[error]]);
    expect(warning).not.toHaveBeenCalled();
    for (let n = 0; n < 3; n++) watch.onEnded(one, listener);
    feed.listener.ended(error);
    expect(warning).toHaveBeenCalledTimes(1);
    expect(listener).not.toHaveBeenCalled();
    expect(feed.listeners).toHaveLength(2);
    warning.mockRestore();
  });

  it("refuses a handle and a listener that are none", () => {
    expect(() => watch.onEnded("an id", () => {})).toThrow(TypeError);
    expect(() => watch.onEnded(one, undefined as never)).toThrow(/`listener`/);
  });

  it("watches 100 000 sessions at one look for each change of another session", async () => {
    const handles = Array.from({ length: 100_000 }, (_, n) => handleOf(`socket ${n}`));
    for (const handle of handles) stored.set(handle, LIVE);
    const ended = vi.fn();
    for (const handle of handles) watch.onEnded(handle, ended);
    await expect.poll(() => lookUps.length, { timeout: 60_000 }).toBe(handles.length);
    const start = performance.now();
    for (let n = 0; n < 100_000; n++) feed.emit("updated", one);
    expect(performance.now() - start).toBeLessThan(5_000);
    feed.emit("destroyed", handles[5] as string);
    expect(ended).toHaveBeenCalledTimes(1);
  });
});

function stoppable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
