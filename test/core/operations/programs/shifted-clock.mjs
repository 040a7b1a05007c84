// A process whose clock is off: `node shifted-clock.mjs <url> <ms> <options as JSON>`. It answers each message, a call
// of the store, with the result of the call as JSON.
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";

const [url, shift, options] = process.argv.slice(2);
const now = Date.now;
Date.now = () => now() + Number(shift);
const nc = await connect({ servers: url });
const store = await SessionStore.open(nc, {
  user: (data) => data.user,
  timeout: 30_000,
  touchAfter: 0,
  ...JSON.parse(options),
});

const calls = {
  save: async (id, data, ttl) => (await store.save(id, data, { ttl })).outcome,
  touch: async (id, ttl) => {
    const record = await store.load(id);
    return record ? (await store.touch(id, record, { ttl })).outcome : "not found";
  },
  list: async (user) => {
    const handles = [];
    for await (const { handle } of store.listByUser(user)) handles.push(handle);
    return handles;
  },
  load: async (id) => (await store.load(id))?.data ?? null,
  destroyByUser: (user) => store.destroyByUser(user),
  destroy: (id) => store.destroy(id),
};

process.on("message", async ({ name, args }) => {
  if (name === "end") {
    await store.close();
    await nc.close();
    process.disconnect();
    return;
  }
  process.send(await calls[name](...args));
});
process.send("ready");
