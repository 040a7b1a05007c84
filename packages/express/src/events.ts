import type { ChangeEvents } from "nats-session-store";

/** Told by the event `gone`: a session that was ended elsewhere was to be written, and stays ended. */
export interface GoneEvent {
  /** The session's public name. */
  readonly handle: string;
  readonly operation: "save" | "touch";
}

/** The events of the store with their arguments. */
export interface NatsStoreEvents extends ChangeEvents {
  gone: [event: GoneEvent];
  error: [error: Error];
}
