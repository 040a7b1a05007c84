import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { steps } from "example-kv-tour";
import { type NatsServer, startNatsServer } from "nats-dev-server";

// The processes of the steps are no part of what the package offers.
export { Worker } from "../../examples/kv-tour/dist/worker.js";

/** A server of a test file's own, which it may restart, and connections to it. */
export interface OwnServer {
  server: NatsServer;
  nc: NatsConnection;
  /** One more connection. @param servers where the server is reached, if not at its own address */
  connect(servers?: string): Promise<NatsConnection>;
  stop(): Promise<void>;
}

export async function startOwnServer(): Promise<OwnServer> {
  const server = await startNatsServer();
  const connections: NatsConnection[] = [];
  const open = async (servers = server.url) => {
    const nc = await connect({
      servers,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 20,
      ignoreClusterUpdates: true,
    });
    connections.push(nc);
    return nc;
  };
  const stop = async () => {
    await Promise.all(connections.map((nc) => nc.close()));
    await server.stop();
  };
  return { server, nc: await open(), connect: open, stop };
}

/** Runs a step of the tour; what it said, and what it has left behind on the server. */
export async function take(
  name: string,
  { server, nc }: OwnServer,
): Promise<{ said: string; left: string[] }> {
  const said: string[] = [];
  await steps[name]?.run({
    nc,
    servers: server.url,
    say: (text) => said.push(text),
    restartServer: () => server.restart(),
  });
  const left: string[] = [];
  for await (const { bucket } of new Kvm(nc).list()) if (bucket.startsWith("tour-")) left.push(bucket);
  return { said: said.join("\n"), left };
}

/** How much was ever written to a bucket, and how many consumers read it. */
export async function stateOf(
  nc: NatsConnection,
  bucket: string,
): Promise<{ lastRevision: number; values: number; consumers: number }> {
  const { state } = await (await jetstreamManager(nc)).streams.info(`KV_${bucket}`);
  return { lastRevision: state.last_seq, values: state.messages, consumers: state.consumer_count };
}

/** Resolves at the connection's next reconnect. */
export async function reconnected(nc: NatsConnection): Promise<void> {
  for await (const { type } of nc.status()) if (type === "reconnect") return;
}
