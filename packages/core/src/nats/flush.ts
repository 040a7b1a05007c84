import type { NatsConnectionLike } from "../types.js";
import { clearInterval, setInterval } from "../util/timers.js";

/** How often what a request of the client's own has published is written to the socket, in ms. */
const INTERVAL = 5;

/**
 * Writes what was published to the socket. The client does so by itself in a microtask, but by the global
 * `queueMicrotask`, which fake timers of a test runner may hold back.
 */
export function flush(nc: NatsConnectionLike): void {
  (nc as { protocol?: { flushPending?(): void } }).protocol?.flushPending?.();
}

/** Flushes until a request that the client itself sends is answered. */
export async function flushing<T>(nc: NatsConnectionLike, request: Promise<T>): Promise<T> {
  const timer = setInterval(() => flush(nc), INTERVAL);
  try {
    return await request;
  } finally {
    clearInterval(timer);
  }
}
