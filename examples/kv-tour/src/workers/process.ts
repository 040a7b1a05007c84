import { connect, type NatsConnection } from "@nats-io/transport-node";

/** Connects a worker to the server named by its first argument. The worker ends with the process that started it. */
export async function connectWorker(): Promise<NatsConnection> {
  process.once("disconnect", () => process.exit());
  return connect({ servers: process.argv[2] ?? "", maxReconnectAttempts: -1, reconnectTimeWait: 100 });
}

/** Tells the process that started this one. */
export function tell(line: string): void {
  process.send?.(line);
}

/** Calls the listener with each line that the process sends which started this one. */
export function onLine(listener: (line: string) => void): void {
  process.on("message", (line) => listener(String(line)));
}
