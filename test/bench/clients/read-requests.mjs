import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { tapped } from "./capture.mjs";
import { fill, idOf } from "./sessions.mjs";

/** The requests that `load` sends for many sessions, in their order. */
export async function readRequests(url, bucket, sessions) {
  const requests = [];
  const nc = await connect({ servers: url });
  let listening = false;
  const tap = tapped(nc, (published) => {
    if (listening) requests.push(published);
  });
  const store = await SessionStore.open(tap, { bucket });
  await fill(store, sessions);
  listening = true;
  for (let index = 0; index < sessions; index++) await store.load(idOf(index));
  await nc.close();
  if (requests.length !== sessions) throw new Error("Expected one request for each load");
  return requests;
}
