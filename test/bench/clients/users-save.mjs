import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { openSessionStore } from "nats-session-store";
import { fill, idOf, sessionData } from "./sessions.mjs";

/**
 * `save` of many sessions, one after the other, each with changed data of the same user: with the user index and
 * the change feed, or in a bucket and through a store without them.
 */
export async function open({ url, bucket, sessions, withUsers }) {
  const nc = await connect({ servers: url });
  const opened = () => openSessionStore(nc, { bucket, ...(withUsers ? { user: ownerOf } : {}) });
  let store = await opened();
  if (!withUsers) {
    const { streams } = await jetstreamManager(nc);
    const { republish: _, ...config } = (await streams.info(`KV_${bucket}`)).config;
    await streams.delete(`KV_${bucket}`);
    await streams.add(config);
    await store.close();
    store = await opened();
  }
  const records = await fill(store, sessions);
  const ids = records.map((_, index) => idOf(index));
  const data = records.map((_, index) => sessionData(index));
  return {
    operation: async (index) => {
      const i = index % sessions;
      data[i].visits++;
      const { outcome, record } = await store.save(ids[i], data[i], { record: records[i] });
      if (outcome !== "saved") throw new Error(`The outcome of a save was ${outcome}`);
      records[i] = record;
    },
    close: () => nc.close(),
  };
}

function ownerOf({ user }) {
  return String(user.id);
}
