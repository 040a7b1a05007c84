import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";
import { readSettings, serve, start } from "example-login-shared";
import { createApp } from "./app.js";

const name = "express-login";

await start(name, async () => {
  const { host, port, servers, secret, secure } = readSettings(process.env, 3000);
  const nc = await connect({ servers, name, maxReconnectAttempts: -1 });
  const store = await NatsStore.open(nc);

  await serve({
    name,
    host,
    port,
    listener: createApp({ store, secret, secure }),
    async close() {
      await store.close();
      await nc.drain();
    },
  });
});
