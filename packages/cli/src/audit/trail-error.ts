import { JetStreamApiError } from "@nats-io/jetstream";
import { CommandError, UnavailableError } from "../exit.js";

/** Names of the client's errors after which nothing is known, because no server answered. */
const SILENCE: ReadonlySet<string> = new Set([
  "TimeoutError",
  "NoResponders",
  "JetStreamNotEnabled",
  "ClosedConnectionError",
  "DrainingConnectionError",
  "ConnectionError",
]);

/**
 * What the client threw while the trail was read or written, as an error of this program.
 * @param tried the servers, for the message
 */
export function trailError(error: unknown, tried: string): unknown {
  if (!(error instanceof Error)) return error;
  const reasons = error.cause instanceof Error ? [error, error.cause] : [error];
  const { message } = error;
  if (reasons.some(({ name }) => name === "PermissionViolationError"))
    return new CommandError(`The account may not use the audit trail: ${message}`);
  if (reasons.some(({ name }) => SILENCE.has(name)))
    return new UnavailableError(`The audit trail cannot be reached: ${message}. Tried: ${tried}`);
  if (error instanceof JetStreamApiError)
    return new CommandError(`The server refused the audit trail: ${message}`);
  return error;
}
