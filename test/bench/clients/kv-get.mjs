import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { fill, idOf } from "./sessions.mjs";

/** `kv.get` of the official client for the entries of many sessions; what it gives is not parsed. */
export async function open({ url, bucket, sessions }) {
  const nc = await connect({ servers: url });
  const store = await SessionStore.open(nc, { bucket });
  await fill(store, sessions);
  const keys = Array.from({ length: sessions }, (_, index) => `s.${store.handleOf(idOf(index))}`);
  const kv = await new Kvm(nc).open(bucket);
  return {
    operation: async (index) => {
      if ((await kv.get(keys[index % sessions])) === null) throw new Error("A session is missing");
    },
    close: () => nc.close(),
  };
}
