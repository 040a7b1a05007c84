import { unavailable } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import type { Reply } from "./request.js";

export type ConnectionEvent =
  | { type: "disconnected" }
  | { type: "reconnected" }
  /** For good; with the reason unless the owner closed it. */
  | { type: "closed"; reason: unknown }
  /** The client fails to reconnect, and why; it keeps trying. */
  | { type: "failing"; reason: unknown }
  | { type: "refused"; operation: string; subject: string };

/** Where the two generations of the client put the details of an error, such as a refused permission. */
interface Status {
  readonly type: string;
  readonly data?: unknown;
  readonly error?: { readonly operation?: string; readonly subject?: string };
  readonly permissionContext?: { readonly operation?: string; readonly subject?: string };
}

/**
 * Listeners for the end of each connection, which gets one reaction on its promise however many stores come and go:
 * a promise holds on to every reaction for as long as it is pending.
 */
const closings = new WeakMap<NatsConnectionLike, Set<(reason: unknown) => void>>();

/**
 * Subscribes. A refused subscription calls back without a message; the status of the connection tells why.
 * @throws `ERR_SESSION_UNAVAILABLE` where the connection is closed or draining
 */
export function subscribe(
  nc: NatsConnectionLike,
  subject: string,
  onMessage: (message: Reply | undefined) => void,
): { unsubscribe(): void } {
  try {
    return nc.subscribe(subject, {
      callback: (_error, message: Reply | undefined) => onMessage(message),
    });
  } catch (cause) {
    throw unavailable("the NATS connection is closed", cause);
  }
}

/**
 * Reports what happens to a connection, for both generations of the client.
 * @returns a function that ends the watch and leaves nothing behind on the connection
 */
export function watchConnection(
  nc: NatsConnectionLike,
  listener: (event: ConnectionEvent) => void,
): () => void {
  let emit: typeof listener | undefined = listener;
  const statuses = nc.status() as AsyncIterable<Status> & { stop?(): void };

  void (async () => {
    for await (const status of statuses) {
      if (status.type === "disconnect") emit?.({ type: "disconnected" });
      else if (status.type === "reconnect") emit?.({ type: "reconnected" });
      else if (status.type === "error") {
        const { operation, subject } = status.error ?? status.permissionContext ?? {};
        if (operation && subject) emit?.({ type: "refused", operation, subject });
        else emit?.({ type: "failing", reason: status.error ?? status.data });
      }
    }
  })().catch(() => {});
  const closed = (reason: unknown) => emit?.({ type: "closed", reason });
  const listeners = closingsOf(nc);
  listeners.add(closed);

  return () => {
    emit = undefined;
    listeners.delete(closed);
    // Ends the iteration now; `return()` would wait for the next status, which may never come.
    statuses.stop?.();
  };
}

function closingsOf(nc: NatsConnectionLike): Set<(reason: unknown) => void> {
  const known = closings.get(nc);
  if (known) return known;
  const listeners = new Set<(reason: unknown) => void>();
  closings.set(nc, listeners);
  const closed = (reason: unknown) => {
    for (const listener of [...listeners]) listener(reason);
  };
  void nc.closed().then(closed, closed);
  return listeners;
}
