import { nextPort } from "nats-dev-server";

const ATTEMPTS = 10;

/**
 * Starts servers that listen on more than their client ports, with other ports where one turns out to be in use.
 * @param start is given as many ports as it asks for; what it started it has to stop when it fails
 */
export async function withPorts<T>(count: number, start: (ports: number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(Array.from({ length: count }, nextPort));
    } catch (error) {
      if (attempt === ATTEMPTS || !/address already in use/.test(String(error))) throw error;
    }
  }
}

/** Resolves when all have started. When one fails, those that have started are stopped. */
export async function allStarted<S extends { stop(): Promise<void> }>(
  starting: readonly Promise<S>[],
): Promise<S[]> {
  const results = await Promise.allSettled(starting);
  const failed = results.find((result) => result.status === "rejected");
  const started = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  if (!failed) return started;
  await Promise.all(started.map((server) => server.stop()));
  throw failed.reason;
}
