import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { fill, idOf } from "./sessions.mjs";

/** `load` of many sessions, one after the other. */
export async function open({ url, bucket, sessions }) {
  const nc = await connect({ servers: url });
  const store = await SessionStore.open(nc, { bucket });
  await fill(store, sessions);
  const ids = Array.from({ length: sessions }, (_, index) => idOf(index));
  return {
    operation: async (index) => {
      if ((await store.load(ids[index % sessions])) === null) throw new Error("A session is missing");
    },
    close: () => nc.close(),
  };
}
