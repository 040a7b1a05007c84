import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface ServeOptions {
  name: string;
  listener: RequestListener;
  host: string;
  port: number;
  /** Aborted first of all when it is time to stop, for answers that have no end of their own. */
  ending: AbortController;
  /** Called when the last request has been answered. */
  close: () => Promise<void>;
}

const requestsEndWithin = 5_000;
const allEndsWithin = 10_000;

/**
 * Serves until SIGINT or SIGTERM, or until a parent process that holds an IPC channel has gone; then aborts
 * `ending`, finishes the requests under way, calls `close` and ends the process.
 */
export async function serve({ name, listener, host, port, ending, close }: ServeOptions): Promise<void> {
  const server = createServer(listener);
  server.listen(port, host);
  await once(server, "listening");

  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    ending.abort();
    setTimeout(() => process.exit(1), allEndsWithin).unref();
    try {
      await finishRequests(server);
      await close();
      process.exit();
    } catch (error) {
      console.error(`${name}:`, error);
      process.exit(1);
    }
  };
  process.on("SIGINT", stop).on("SIGTERM", stop).on("disconnect", stop);

  const url = `http://${host.includes(":") ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
  console.log(`${name} on ${url}`);
  if (process.connected) process.send?.({ url });
  else if (process.send !== undefined) await stop();
}

async function finishRequests(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const late = setTimeout(() => server.closeAllConnections(), requestsEndWithin);
  await closed;
  clearInterval(idle);
  clearTimeout(late);
}
