import { connect } from "@nats-io/transport-node";
import { openSessionStore } from "nats-session-store";
import { fill, idOf, sessionData } from "./sessions.mjs";

/** `save` of many sessions, one after the other, each with changed data and the record of its last save. */
export async function open({ url, bucket, sessions }) {
  const nc = await connect({ servers: url });
  const store = await openSessionStore(nc, { bucket });
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
