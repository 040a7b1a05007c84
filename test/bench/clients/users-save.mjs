import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { repeatedSave } from "./repeated-save.mjs";

/**
 * `save` of many sessions of the same user: with the user index and the change feed, or in a bucket and through a
 * store without them.
 */
export async function open({ url, bucket, sessions, withUsers }) {
  const nc = await connect({ servers: url });
  const opened = () => SessionStore.open(nc, { bucket, ...(withUsers ? { user: userOf } : {}) });
  let store = await opened();
  if (!withUsers) {
    const { streams } = await jetstreamManager(nc);
    const { republish: _, ...config } = (await streams.info(`KV_${bucket}`)).config;
    await streams.delete(`KV_${bucket}`);
    await streams.add(config);
    await store.close();
    store = await opened();
  }
  return { operation: await repeatedSave(store, sessions), close: () => nc.close() };
}

function userOf({ user }) {
  return String(user.id);
}
