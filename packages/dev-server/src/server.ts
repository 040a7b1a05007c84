import { ManagedServer, PortInUseError } from "./managed-server.js";
import { nextPort } from "./ports.js";
import type { NatsServer, NatsServerOptions } from "./types.js";

const portAttempts = 50;

/**
 * Starts a nats-server on 127.0.0.1 and resolves once its JetStream answers (without JetStream: once it accepts
 * connections). What this process leaves running when it ends is killed, and temporary data removed.
 *
 * @throws TypeError on a port or timeout that is not a number in range.
 * @throws Error if there is no binary, if the server ends early, or if it is not ready within `timeout`; the
 * last two messages carry the end of the server's log.
 */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { port, timeout = 20_000 } = options;
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    throw new TypeError(`Expected \`port\` to be a whole number from 1 to 65535, got ${port}`);
  }
  if (!(timeout > 0)) {
    throw new TypeError(`Expected \`timeout\` to be a positive number of milliseconds, got ${timeout}`);
  }
  for (let attempt = 1; ; attempt++) {
    const server = new ManagedServer({ ...options, timeout, port: port ?? nextPort() });
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.stop();
      const another = port === undefined && attempt < portAttempts && error instanceof PortInUseError;
      if (!another) throw error;
    }
  }
}
