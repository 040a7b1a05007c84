import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { EXPECTED, tapped } from "./capture.mjs";
import { fill, idOf, sessionData } from "./sessions.mjs";

/**
 * The writes that `save` makes, to be made by another client: with a bucket of its own, and writes that reach
 * the server in their order, the revision that each must expect is known beforehand.
 */
export async function plannedWrites(url, bucket, sessions) {
  const nc = await connect({ servers: url });
  const writes = [];
  let listening = false;
  const tap = tapped(nc, (published) => {
    if (listening) writes.push(published);
  });
  const store = await SessionStore.open(tap, { bucket });
  const records = await fill(store, sessions);
  listening = true;
  for (const [index, record] of records.entries()) {
    records[index] = (await store.save(idOf(index), sessionData(index), { record })).record;
  }
  if (
    writes.length !== sessions ||
    !writes.every(({ headers }) => headers.some(([name]) => name === EXPECTED))
  ) {
    throw new Error("Expected one revision-checked write for each save");
  }
  const manager = await jetstreamManager(nc);
  const lastRevision = async () => (await manager.streams.info(`KV_${bucket}`)).state.last_seq;
  const base = await lastRevision();
  return {
    /** What the write of this index is to send. */
    write: (index) => writes[index % sessions],
    /** The revision that it must expect. */
    expected: (index) => (index < sessions ? records[index].revision : base + index - sessions + 1),
    /** @throws unless all writes so far have been accepted */
    check: async (done) => {
      if ((await lastRevision()) !== base + done) throw new Error("Some writes were not accepted");
    },
    close: () => nc.close(),
  };
}
