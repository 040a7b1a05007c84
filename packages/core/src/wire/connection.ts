import type { NatsConnectionLike } from "../types.js";

export type ConnectionEvent =
  | { type: "disconnected" }
  | { type: "reconnected" }
  /** For good; with the reason unless the owner closed it. */
  | { type: "closed"; reason: unknown }
  /** Connecting again does not succeed, and why; it goes on. */
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
 * Tells of what happens to a connection, for both generations of the client.
 * @returns a function that ends the watch
 */
export function watchConnection(
  nc: NatsConnectionLike,
  listener: (event: ConnectionEvent) => void,
): () => void {
  // Let go of when the watch ends: `closed()` holds on to what waits for it as long as the connection lives.
  let told: typeof listener | undefined = listener;
  const tell = (event: ConnectionEvent) => told?.(event);
  const statuses = nc.status() as AsyncIterable<Status> & { stop?(): void };

  void (async () => {
    for await (const status of statuses) {
      if (status.type === "disconnect") tell({ type: "disconnected" });
      else if (status.type === "reconnect") tell({ type: "reconnected" });
      else if (status.type === "error") {
        const { operation, subject } = status.error ?? status.permissionContext ?? {};
        if (operation && subject) tell({ type: "refused", operation, subject });
        else tell({ type: "failing", reason: status.error ?? status.data });
      }
    }
  })().catch(() => {});
  void nc.closed().then(
    (reason) => tell({ type: "closed", reason }),
    (reason) => tell({ type: "closed", reason }),
  );

  return () => {
    told = undefined;
    // Ends the iteration now; `return()` would wait for the next status, which may never come.
    statuses.stop?.();
  };
}
