import { isUnavailable } from "../errors.js";
import { isHandle } from "../format/keys.js";
import type { OnEndedOptions, SessionChange, SessionEnd } from "../types.js";
import { clearInterval, idleSleep, nextTick, now, setInterval } from "../util/timers.js";
import { warn } from "../util/warn.js";
import type { ChangeFeed } from "./feed.js";

/**
 * Reads from the bucket's leader whether a session is live, and until when unless it is renewed (Unix ms); else how
 * it ended.
 */
export type LookUp = (
  handle: string,
  deadline: number,
) => Promise<SessionEnd | { readonly expiresAt: number }>;

/** A listener that waits for the end of a session. */
interface Watcher {
  readonly listener: (end: SessionEnd) => void;
  readonly onError: ((error: Error) => void) | undefined;
  /** Removes the listener of an `AbortSignal`. */
  release: (() => void) | undefined;
}

interface WatchedSession {
  /** When the session expires unless it is renewed (Unix ms); `Infinity` where it is not known. */
  expiresAt: number;
  readonly watchers: Set<Watcher>;
}

/** So many sessions are looked up at a time. */
const BATCH = 64;

/** How long to wait before a failed look is repeated, in ms. */
const RETRY = 200;

/** How often the times of expiry are compared with the clock, in ms. */
const TICK = 1000;

/**
 * Tells listeners once when their session has ended, in whichever process. A change of a session that nothing
 * watches costs one look into a map.
 *
 * The feed reports an end. What it cannot report is looked up, in batches: the end of a session just before it was
 * watched, and ends during a cut or before `missed`. Servers before 2.11 do not report an expiry, and newer ones do
 * so a second late; so a session is also looked up when its time to live is over.
 */
export class SessionWatch {
  readonly #feed: ChangeFeed;
  readonly #lookUp: LookUp;
  readonly #timeout: number;
  readonly #watched = new Map<string, WatchedSession>();
  /** Handles to be looked up. */
  readonly #unchecked = new Set<string>();
  #listening: (() => void) | undefined;
  #ticking: NodeJS.Timeout | undefined;
  /** Whether an end that happens now will be reported. */
  #isLive = false;
  #isLookingUp = false;
  /** When the next watched session expires, unless it is renewed (Unix ms). */
  #nextExpiry = Number.POSITIVE_INFINITY;

  /** @param timeout how long a batch of look-ups may take, in ms */
  constructor(feed: ChangeFeed, lookUp: LookUp, timeout: number) {
    this.#feed = feed;
    this.#lookUp = lookUp;
    this.#timeout = timeout;
  }

  /**
   * Calls the listener once when the session has ended, also where it had ended already.
   * @returns ends the watch
   * @throws TypeError for a handle that is none, or a listener that is not a function
   */
  onEnded(
    handle: string,
    listener: (end: SessionEnd) => void,
    { signal, onError }: OnEndedOptions = {},
  ): () => void {
    if (!isHandle(handle)) throw new TypeError("Expected `handle` to be the handle of a session");
    if (typeof listener !== "function") {
      throw new TypeError(`Expected \`listener\` to be a function, got ${typeof listener}`);
    }
    if (signal?.aborted) return () => {};
    this.#listen();
    const session = this.#watched.get(handle) ?? { expiresAt: Number.POSITIVE_INFINITY, watchers: new Set() };
    this.#watched.set(handle, session);
    const watcher: Watcher = { listener, onError, release: undefined };
    session.watchers.add(watcher);
    const stop = () => {
      if (!remove(session, watcher)) return;
      if (session.watchers.size === 0 && this.#watched.get(handle) === session) this.#watched.delete(handle);
      this.#stopIfIdle();
    };
    if (signal) {
      signal.addEventListener("abort", stop, { once: true });
      watcher.release = () => signal.removeEventListener("abort", stop);
    }
    this.#check([handle]);
    return stop;
  }

  close(): void {
    for (const session of this.#stop()) {
      for (const watcher of session.watchers) remove(session, watcher);
    }
  }

  #listen(): void {
    if (this.#listening) return;
    const { ready, stop } = this.#feed.listen({
      changed: (change) => this.#onChange(change),
      follows: (handle) => this.#watched.has(handle),
      cut: () => {
        this.#isLive = false;
      },
      resumed: () => this.#onLive(),
      missed: () => this.#check(this.#watched.keys()),
      ended: (error) => {
        if (this.#listening === stop) this.#fail(error);
      },
    });
    this.#listening = stop;
    const onReady = () => {
      if (this.#listening === stop) this.#onLive();
    };
    ready.then(onReady, () => {});
    this.#ticking = setInterval(() => this.#onTick(), TICK).unref();
  }

  #onLive(): void {
    this.#isLive = true;
    this.#check(this.#watched.keys());
  }

  #onChange({ type, handle, movedTo }: SessionChange): void {
    if (type === "expired") this.#end(handle, { reason: "expired" });
    else if (type === "destroyed") {
      this.#end(handle, movedTo === undefined ? { reason: "destroyed" } : { reason: "rotated", movedTo });
    }
  }

  #end(handle: string, end: SessionEnd): void {
    const session = this.#watched.get(handle);
    if (!session) return;
    this.#watched.delete(handle);
    for (const watcher of session.watchers) {
      if (remove(session, watcher)) callSafely(() => watcher.listener(end));
    }
    this.#stopIfIdle();
  }

  #stopIfIdle(): void {
    if (this.#watched.size === 0) this.#stop();
  }

  /** @returns what was watched */
  #stop(): WatchedSession[] {
    const sessions = [...this.#watched.values()];
    const stop = this.#listening;
    this.#watched.clear();
    this.#unchecked.clear();
    this.#listening = undefined;
    this.#isLive = false;
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    clearInterval(this.#ticking);
    stop?.();
    return sessions;
  }

  #fail(error: Error | undefined): void {
    let hasWarned = false;
    for (const session of this.#stop()) {
      for (const watcher of session.watchers) {
        if (!remove(session, watcher) || !error) continue;
        if (watcher.onError) callSafely(() => watcher.onError?.(error));
        else if (!hasWarned) {
          hasWarned = true;
          const message = `The ends of sessions are not watched any more: ${error.message}`;
          warn(this.#feed.bucket, "NATS_SESSION_WATCH_ENDED", message);
        }
      }
    }
  }

  #check(handles: Iterable<string>): void {
    for (const handle of handles) this.#unchecked.add(handle);
    if (this.#isLive && !this.#isLookingUp && this.#unchecked.size > 0) void this.#lookUpAll();
  }

  async #lookUpAll(): Promise<void> {
    this.#isLookingUp = true;
    while (this.#isLive && this.#unchecked.size > 0) {
      const deadline = now() + this.#timeout;
      const batch: Promise<boolean>[] = [];
      for (const handle of this.#unchecked) {
        this.#unchecked.delete(handle);
        if (this.#watched.has(handle)) batch.push(this.#lookUpOne(handle, deadline));
        if (batch.length === BATCH) break;
      }
      if ((await Promise.all(batch)).includes(false)) await idleSleep(RETRY);
    }
    this.#isLookingUp = false;
  }

  /** @returns false where there was no answer */
  async #lookUpOne(handle: string, deadline: number): Promise<boolean> {
    try {
      const found = await this.#lookUp(handle, deadline);
      if ("reason" in found) this.#end(handle, found);
      else this.#noteExpiry(handle, found.expiresAt);
      return true;
    } catch (error) {
      // A session that cannot be read is there.
      if (!isUnavailable(error)) return true;
      this.#unchecked.add(handle);
      return false;
    }
  }

  #noteExpiry(handle: string, expiresAt: number): void {
    const session = this.#watched.get(handle);
    if (session) session.expiresAt = expiresAt;
    this.#nextExpiry = Math.min(this.#nextExpiry, expiresAt);
  }

  #onTick(): void {
    const time = Date.now();
    if (time < this.#nextExpiry) return;
    const expired: string[] = [];
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    for (const [handle, { expiresAt }] of this.#watched) {
      if (expiresAt <= time) expired.push(handle);
      else this.#nextExpiry = Math.min(this.#nextExpiry, expiresAt);
    }
    this.#check(expired);
  }
}

/** @returns false where the watcher was called or removed already */
function remove(session: WatchedSession, watcher: Watcher): boolean {
  if (!session.watchers.delete(watcher)) return false;
  watcher.release?.();
  return true;
}

/** What a listener throws is the application's own error; the other listeners are called all the same. */
function callSafely(call: () => void): void {
  try {
    call();
  } catch (error) {
    nextTick(() => {
      throw error;
    });
  }
}
