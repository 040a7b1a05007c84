import { type FaultContext, serverFaultOf } from "./server-faults.js";

const told = new Set<string>();

/** Warns of a server with a fault that matters, once for each version. */
export function warnOfServerFault(version: string | undefined, context: FaultContext): void {
  if (version === undefined) return;
  const fault = serverFaultOf(version, context);
  if (fault === undefined || told.has(version)) return;
  told.add(version);
  process.emitWarning(`nats-server ${version} has a fault that matters to sessions: ${fault}.`, {
    type: "NatsSessionWarning",
    code: "NATS_SESSION_SERVER_FAULT",
  });
}
