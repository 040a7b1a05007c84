import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { fill, idOf, sessionData } from "./sessions.mjs";

const userOf = ({ user }) => String(user.id);

/** Operations of the core in a bucket of a cluster, over a connection to one of its servers that stays with it. */
export async function open({ url, bucket, replicas, sessions }) {
  const nc = await connect({ servers: url, ignoreClusterUpdates: true });
  const store = await SessionStore.open(nc, { bucket, replicas, user: userOf, timeout: 30_000 });
  const records = await fill(store, sessions);
  let signIns = 0;
  const operations = {
    load: async (index) => {
      if ((await store.load(idOf(index % sessions))) === null) throw new Error("A session is missing");
    },
    save: async (index) => {
      const n = index % sessions;
      const { record } = await store.save(idOf(n), sessionData(n, index), { record: records[n] });
      records[n] = record;
    },
    // A session of a user who has none yet: the index entry, then the session.
    "sign in": () => {
      const n = sessions + signIns++;
      return store.save(idOf(n), sessionData(n));
    },
  };
  let operation = operations.load;
  return {
    use: (name) => {
      operation = operations[name];
    },
    operation: (index) => operation(index),
    close: async () => {
      await store.close();
      await nc.close();
    },
  };
}
