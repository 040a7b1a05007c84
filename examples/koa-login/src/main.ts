import { connect } from "@nats-io/transport-node";
import { readSettings, serve, start } from "example-login-shared";
import { NatsStore } from "koa-session-nats";
import { createApp } from "./app.js";

const name = "koa-login";

await start(name, async () => {
  const { host, port, servers, secret, secure } = readSettings(process.env, 3001);
  const nc = await connect({ servers, name, maxReconnectAttempts: -1 });
  const store = await NatsStore.open(nc);

  await serve({
    name,
    host,
    port,
    listener: createApp({ store, secret, secure }).callback(),
    async close() {
      await store.close();
      await nc.drain();
    },
  });
});
