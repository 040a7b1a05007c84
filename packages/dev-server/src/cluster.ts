import { join } from "node:path";
import { ManagedServer, PortInUseError } from "./managed-server.js";
import { nextPort } from "./ports.js";
import { canCreateStream, until } from "./readiness.js";
import type { NatsCluster, NatsClusterOptions } from "./types.js";

const portAttempts = 10;

/**
 * Starts a JetStream cluster on 127.0.0.1 and resolves once it has a leader, every server has caught up, and a
 * stream with three replicas (or `size`, if smaller) can be created.
 *
 * @throws TypeError on a size that is not a whole number of at least 2.
 * @throws Error as `startNatsServer` does; whatever was started is stopped then.
 */
export async function startNatsCluster(options: NatsClusterOptions = {}): Promise<NatsCluster> {
  const { size = 3, timeout = 45_000 } = options;
  if (!(Number.isInteger(size) && size >= 2)) {
    throw new TypeError(`Expected \`size\` to be a whole number of at least 2, got ${size}`);
  }
  for (let attempt = 1; ; attempt++) {
    const servers = members(options, size, timeout);
    const stop = async () => {
      await Promise.all(servers.map((server) => server.stop()));
    };
    try {
      await startAll(servers, timeout);
    } catch (error) {
      await stop();
      if (attempt < portAttempts && error instanceof PortInUseError) continue;
      throw error;
    }
    return { servers, urls: servers.map((server) => server.url), stop, [Symbol.asyncDispose]: stop };
  }
}

function members(options: NatsClusterOptions, size: number, timeout: number): ManagedServer[] {
  const { dataDir, size: _, ...common } = options;
  const routePorts = Array.from({ length: size }, nextPort);
  const routes = routePorts.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  const servers: ManagedServer[] = [];
  const hasMajority = () => servers.filter((server) => server.up).length > size / 2;
  for (const [index, routePort] of routePorts.entries()) {
    const name = `n${index + 1}`;
    const config = `cluster { name: dev, listen: "127.0.0.1:${routePort}", routes: [${routes}] }`;
    servers.push(
      new ManagedServer({
        ...common,
        name,
        timeout,
        port: nextPort(),
        cluster: { config, hasMajority },
        ...(dataDir === undefined ? {} : { dataDir: join(dataDir, name) }),
      }),
    );
  }
  return servers;
}

async function startAll(servers: ManagedServer[], timeout: number): Promise<void> {
  const deadline = Date.now() + timeout;
  await Promise.all(servers.map((server) => server.start()));
  const replicas = Math.min(servers.length, 3);
  await until(
    async () => servers[0] && canCreateStream(servers[0].endpoints, replicas),
    (lastError) => {
      if (Date.now() < deadline) return undefined;
      return new Error(`The cluster was not ready within ${timeout} ms`, { cause: lastError });
    },
  );
}
