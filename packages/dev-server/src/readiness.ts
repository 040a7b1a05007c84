import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type NatsConnection } from "@nats-io/transport-node";

/** Addresses that a started server listens on. */
export interface Endpoints {
  client: string;
  monitor: string;
}

/**
 * Repeats a check until it returns something other than undefined. After each try, also one that threw,
 * `giveUp` may end the wait with an error.
 */
export async function until<T>(
  check: () => Promise<T | undefined>,
  giveUp: (lastError: unknown) => Error | undefined,
): Promise<T> {
  let lastError: unknown;
  for (;;) {
    try {
      const result = await check();
      if (result !== undefined) return result;
    } catch (error) {
      lastError = error;
    }
    const reason = giveUp(lastError);
    if (reason !== undefined) throw reason;
    await sleep(20);
  }
}

/** Reads the file that a server writes once it listens; undefined until then. */
export async function readEndpoints(portsDir: string, pid: number): Promise<Endpoints | undefined> {
  const file = (await readdir(portsDir)).find((name) => name.endsWith(`_${pid}.ports`));
  if (file === undefined) return undefined;
  const ports: { nats?: string[]; monitoring?: string[] } = JSON.parse(
    await readFile(join(portsDir, file), "utf8"),
  );
  const client = ports.nats?.[0];
  if (client === undefined) return undefined;
  return { client, monitor: ports.monitoring?.[0] ?? "" };
}

/**
 * Asks a server for its JetStream account information, as a client would. A server that wants credentials or
 * TLS is asked for its health over HTTP instead.
 */
export async function jetStreamAnswers(endpoints: Endpoints): Promise<true | undefined> {
  if (await isOpen(endpoints)) {
    await withConnection(endpoints.client, (nc) => api(nc, "INFO"));
    return true;
  }
  return isHealthy(endpoints);
}

/** Whether a server has recovered its streams and, in a cluster, caught up with the others. */
export async function isHealthy({ monitor }: Endpoints): Promise<true | undefined> {
  const response = await fetch(`${monitor}/healthz`, { signal: AbortSignal.timeout(2_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(text.trim());
  return true;
}

/** Creates and removes a replicated stream, unless the server wants credentials or TLS. */
export async function canCreateStream(endpoints: Endpoints, replicas: number): Promise<true | undefined> {
  if (!(await isOpen(endpoints))) return true;
  const name = `DEV_SERVER_PROBE_${process.pid}_${Date.now()}`;
  await withConnection(endpoints.client, async (nc) => {
    const config = { name, subjects: [name], storage: "memory", num_replicas: replicas };
    await api(nc, `STREAM.CREATE.${name}`, config);
    await api(nc, `STREAM.DELETE.${name}`);
  });
  return true;
}

/** Whether anybody may connect, without credentials or TLS. */
async function isOpen({ monitor }: Endpoints): Promise<boolean> {
  const response = await fetch(`${monitor}/varz`, { signal: AbortSignal.timeout(2_000) });
  const { auth_required, tls_required } = (await response.json()) as Record<string, unknown>;
  return auth_required !== true && tls_required !== true;
}

async function withConnection(url: string, use: (nc: NatsConnection) => Promise<void>): Promise<void> {
  const nc = await connect({ servers: url, reconnect: false, timeout: 2_000, ignoreClusterUpdates: true });
  try {
    await use(nc);
  } finally {
    await nc.close();
  }
}

async function api(nc: NatsConnection, subject: string, body?: object): Promise<void> {
  const payload = body === undefined ? "" : JSON.stringify(body);
  const reply = await nc.request(`$JS.API.${subject}`, payload, { timeout: 2_000 });
  const { error } = reply.json<{ error?: { description: string } }>();
  if (error !== undefined) throw new Error(error.description);
}
