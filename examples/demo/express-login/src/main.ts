import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";
import { readSettings, serve, start, storeOptions } from "example-login-shared";
import { createApp } from "./app.js";

const name = "express-login";

await start(name, async () => {
  const settings = readSettings(process.env, 3000);
  const { host, port, servers, secret, secure } = settings;
  const nc = await connect({ servers, name, maxReconnectAttempts: -1 });
  const store = await NatsStore.open(nc, storeOptions(settings));
  const ending = new AbortController();

  await serve({
    name,
    host,
    port,
    listener: createApp({ store, secret, secure, ending: ending.signal }),
    ending,
    async close() {
      await store.close();
      await nc.close();
    },
  });
});
