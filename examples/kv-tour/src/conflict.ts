import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";

/** Whether a write was refused because the key has another revision than the expected one. */
export function isConflict(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}
