import { warnings } from "./channels.js";

/** Emits a process warning, and publishes it for telemetry. */
export function warn(bucket: string, code: string, message: string): void {
  process.emitWarning(message, { type: "NatsSessionWarning", code });
  if (warnings.hasSubscribers) warnings.publish({ bucket, code, message });
}
