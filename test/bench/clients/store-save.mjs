import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { repeatedSave } from "./repeated-save.mjs";

/** `save` of many sessions. */
export async function open({ url, bucket, sessions }) {
  const nc = await connect({ servers: url });
  const store = await SessionStore.open(nc, { bucket });
  return { operation: await repeatedSave(store, sessions), close: () => nc.close() };
}
